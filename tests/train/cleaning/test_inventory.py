import pytest

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.cleaning.inventory import FlowRow, Inventory
from cxr_edge_train.cleaning.scanning import ScannedFile
from cxr_edge_train.dataset.metadata import FOLDERS, LeftOut
from synthetic import scanned_file


def test_records_come_back_as_they_were_entered() -> None:
    file = scanned_file("train/a", "1", patient="p", jpeg_step=5.25)
    with Inventory() as inventory:
        inventory.add([file])
        assert list(inventory.kept()) == [file.outcome]


def test_left_out_files_come_by_path() -> None:
    names = ["train/b", "train/a"]
    with Inventory() as inventory:
        inventory.add(ScannedFile("train", "NORMAL", LeftOut(name, "why")) for name in names)
        assert list(inventory.left_out()) == [
            LeftOut("train/a", "why"), LeftOut("train/b", "why"),
        ]  # fmt: skip


def test_flow_has_every_label_of_a_split_that_is_there_and_no_other_split() -> None:
    with Inventory() as inventory:
        inventory.add(
            [
                scanned_file("train/a", "1"),
                ScannedFile("train", "NORMAL", LeftOut("train/b", "broken")),
                ScannedFile("train", "", LeftOut("train/stray", "not below")),
            ]
        )
        assert inventory.flow(FOLDERS) == (
            FlowRow("train", "NORMAL", 2, 1, 1, 1),
            FlowRow("train", "PNEUMONIA", 0, 0, 0, 0),
        )


def test_full_temporary_folder_is_one_clear_error() -> None:
    with (
        pytest.raises(DatasetError, match=r"temporary folder \(.*full\); free space there"),
        Inventory() as inventory,
    ):
        inventory.connection.execute("PRAGMA max_page_count = 20")
        inventory.add(scanned_file(f"train/{number}", str(number)) for number in range(1000))
