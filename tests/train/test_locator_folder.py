import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cxr_edge_runtime.errors import RunError
from cxr_edge_train.locator_folder import read_locator
from locators import lung_film


@pytest.fixture
def folder(locator: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(locator.folder, tmp_path / "locator"))


def change(folder: Path, **values: Any) -> None:
    record = json.loads((folder / "locator.json").read_text())
    (folder / "locator.json").write_text(json.dumps(record | values))


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_locator_that_was_read_finds_lungs(folder: Path, format: str) -> None:
    locator = read_locator(folder).locator(format)
    assert locator.margin == 1.2
    assert locator.lungs(lung_film(0)[0]) is not None


def test_record_from_before_unequal_boxes_were_counted_is_read(folder: Path) -> None:
    checks = json.loads((folder / "locator.json").read_text())["checks"]
    for check in checks.values():
        del check["unequal"]
    change(folder, checks=checks)
    assert read_locator(folder).record.checks["locator.onnx"].unequal is None


def test_folder_without_a_locator_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no lung locator here .*cxr-edge train-locator"):
        read_locator(tmp_path)


def test_file_in_place_of_a_folder_is_not_called_damaged(folder: Path) -> None:
    with pytest.raises(RunError, match=r"locator\.tflite: no lung locator here .*train-locator"):
        read_locator(folder / "locator.tflite")


def test_one_flipped_byte_is_refused(folder: Path) -> None:
    file = folder / "locator.tflite"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"locator\.tflite: is not the file that locator\.json"):
        read_locator(folder)


def test_missing_model_is_named(folder: Path) -> None:
    (folder / "locator.onnx").unlink()
    with pytest.raises(RunError, match=r"locator\.onnx: cannot be read .*; copy its folder again$"):
        read_locator(folder)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"version": 0}, "version must be 1"),
        ({"margin": 0.5}, "margin must be at least 1"),
        ({"margin": 3.5}, "margin must be .*3"),
        ({"files": {}}, "files must be locator.tflite and locator.onnx"),
        ({"extra": 1}, "extra"),
    ],
)
def test_record_of_another_kind_is_refused(
    folder: Path, values: dict[str, object], words: str
) -> None:
    change(folder, **values)
    with pytest.raises(RunError, match=rf"locator\.json: damaged \(.*{words}"):
        read_locator(folder)


def test_locator_of_a_later_version_asks_for_an_update(folder: Path) -> None:
    change(folder, version=2)
    with pytest.raises(RunError, match=r"version 2 of the lung locator, .* update cxr-edge"):
        read_locator(folder)
