from cxr_edge_train.dataset.duplicates import remove_duplicates
from cxr_edge_train.dataset.scanning import ImageRecord


def record(path: str, md5: str, *, label: str = "NORMAL") -> ImageRecord:
    split = path.split("/")[0]
    return ImageRecord(path, split, label, "normal", "", md5, 64, 64, "L", 1)


def reasons(*records: ImageRecord) -> dict[str, str]:
    kept, left_out = remove_duplicates(records)
    assert len(kept) + len(left_out) == len(records)
    return {item.path: item.reason for item in left_out}


def test_within_a_split_the_first_by_path_stays() -> None:
    assert reasons(record("train/b", "1"), record("train/a", "1"), record("train/c", "2")) == {
        "train/b": "duplicate of train/a"
    }


def test_across_splits_the_train_copy_goes() -> None:
    assert reasons(record("train/a", "1"), record("test/z", "1"), record("val/b", "1")) == {
        "train/a": "duplicate of test/z",
        "val/b": "duplicate of test/z",
    }


def test_one_image_under_two_labels_goes_altogether() -> None:
    assert reasons(
        record("train/a", "1"), record("train/b", "1", label="PNEUMONIA"), record("test/c", "1")
    ) == dict.fromkeys(["test/c", "train/a", "train/b"], "same image under two labels")


def test_order_of_what_stays_is_kept() -> None:
    kept, _ = remove_duplicates([record("train/b", "1"), record("train/a", "2")])
    assert [item.path for item in kept] == ["train/b", "train/a"]
