from cxr_edge_train.cleaning.checks.duplicates import leave_out_duplicates
from cxr_edge_train.cleaning.checks.leaks import Leaks, find_leaks
from cxr_edge_train.cleaning.inventory import Inventory
from cxr_edge_train.cleaning.scanning import ScannedFile
from cxr_edge_train.dataset.near_duplicates import NearDuplicate
from synthetic import scanned_file


def leaks_of(*files: ScannedFile, near: tuple[NearDuplicate, ...] = ()) -> Leaks:
    with Inventory() as inventory:
        inventory.add(files)
        leave_out_duplicates(inventory)
        return find_leaks(inventory, near)


def test_clean_separation_is_no_leak() -> None:
    leaks = leaks_of(
        scanned_file("train/a", "1", patient="p"), scanned_file("test/b", "2", patient="q")
    )
    assert (leaks.verdict, leaks.patients, leaks.exact, leaks.near) == ("none", (), (), ())
    assert "share no patient, no file and no near-duplicate" in leaks.words
    assert "unknown" not in leaks.words


def test_patient_on_both_sides_is_a_leak_that_split_removes() -> None:
    leaks = leaks_of(
        scanned_file("train/a", "1", patient="p"),
        scanned_file("test/b", "2", patient="p"),
        scanned_file("train/c", "3"),
        scanned_file("test/d", "4"),
    )
    assert leaks.verdict == "leak"
    assert leaks.patients == ("p",)
    assert "1 patient," in leaks.words
    assert "cxr-edge split drops the training images of patients" in leaks.words
    assert "patient of 2 images is unknown" in leaks.words


def test_what_train_and_val_share_is_no_leak() -> None:
    leaks = leaks_of(
        scanned_file("train/a", "1", patient="p"),
        scanned_file("val/b", "1", patient="p"),
        scanned_file("test/c", "2", patient="q"),
    )
    assert leaks.verdict == "none"


def test_patient_of_val_and_test_is_a_leak() -> None:
    leaks = leaks_of(
        scanned_file("val/a", "1", patient="p"), scanned_file("test/b", "2", patient="p")
    )
    assert leaks.patients == ("p",)


def test_exact_copies_leak_as_found_although_cleaning_removes_them() -> None:
    leaks = leaks_of(
        scanned_file("train/a", "1"),
        scanned_file("val/b", "1"),
        scanned_file("train/c", "2", label="PNEUMONIA"),
        scanned_file("test/d", "1"),
        scanned_file("test/e", "1"),
        scanned_file("test/f", "2"),
    )
    assert leaks.exact == (("train/a", "test/d"), ("train/c", "test/f"), ("val/b", "test/d"))
    assert "The training copies of exact duplicates are left out" in leaks.words


def test_near_duplicates_leak_across_splits_only() -> None:
    across = NearDuplicate("train/a", "test/c", 0.99, True, False)
    within = NearDuplicate("train/a", "train/b", 0.99, False, False)
    leaks = leaks_of(
        scanned_file("train/a", "1"), scanned_file("train/b", "2"), scanned_file("test/c", "3"),
        near=(within, across),
    )  # fmt: skip
    assert leaks.verdict == "leak"
    assert leaks.near == (("train/a", "test/c"),)
    assert "cxr-edge split leaves out training images that are near-duplicates" in leaks.words


def test_without_a_test_folder_nothing_can_leak() -> None:
    leaks = leaks_of(scanned_file("train/a", "1", patient="p"))
    assert leaks.verdict == "none"
    assert "no test folder" in leaks.words
