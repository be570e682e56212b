from cxr_edge_train.cleaning.checks.duplicates import leave_out_duplicates
from cxr_edge_train.cleaning.inventory import Inventory
from cxr_edge_train.cleaning.scanning import ScannedFile
from synthetic import scanned_file


def reasons(*files: ScannedFile) -> dict[str, str]:
    with Inventory() as inventory:
        inventory.add(files)
        leave_out_duplicates(inventory)
        left_out = dict(inventory.left_out())
        assert len(list(inventory.kept())) + len(left_out) == len(files)
    return left_out


def test_within_a_split_the_first_by_path_stays() -> None:
    assert reasons(
        scanned_file("train/b", "1"), scanned_file("train/a", "1"), scanned_file("train/c", "2")
    ) == {"train/b": "duplicate of train/a"}


def test_across_splits_the_train_copy_goes() -> None:
    assert reasons(
        scanned_file("train/a", "1"), scanned_file("val/b", "1"), scanned_file("test/z", "1")
    ) == {"train/a": "duplicate of test/z", "val/b": "duplicate of test/z"}


def test_one_image_under_two_labels_goes_altogether() -> None:
    assert reasons(
        scanned_file("train/a", "1"),
        scanned_file("train/b", "1", label="PNEUMONIA"),
        scanned_file("test/c", "1"),
    ) == dict.fromkeys(["test/c", "train/a", "train/b"], "same image under two labels")


def test_order_of_what_stays_is_kept() -> None:
    with Inventory() as inventory:
        inventory.add([scanned_file("train/b", "1"), scanned_file("train/a", "2")])
        leave_out_duplicates(inventory)
        assert [path for path, *_ in inventory.kept()] == ["train/b", "train/a"]
