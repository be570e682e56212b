import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.layout import find_files
from synthetic import draw_dataset


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return draw_dataset(tmp_path / "data", patients=2)


def test_order_is_stable(data_dir: Path) -> None:
    folder = data_dir / "train" / "NORMAL"
    for name in ("a/b.png", "a-b.png", "a.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("L", (64, 64)).save(folder / name)
    paths = [Path(file.path) for file in find_files(data_dir)]
    assert paths == sorted(paths)
    assert len(paths) == 11


def test_hidden_folders_are_not_entered(data_dir: Path) -> None:
    hidden = data_dir / "train" / "NORMAL" / ".ipynb_checkpoints"
    hidden.mkdir()
    Image.new("L", (64, 64)).save(hidden / "copy.png")
    assert all("copy.png" not in file.path for file in find_files(data_dir))


def test_folder_that_cannot_be_read_is_an_error_and_not_empty(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DatasetError, match="NORMAL: cannot be read \\(Permission denied\\)"):
        list(find_files(data_dir))


@pytest.mark.parametrize("missing", ["NORMAL", "PNEUMONIA"])
def test_folder_without_the_structure_says_what_is_expected(tmp_path: Path, missing: str) -> None:
    present = {"NORMAL": "PNEUMONIA", "PNEUMONIA": "NORMAL"}[missing]
    (tmp_path / "train" / present).mkdir(parents=True)
    with pytest.raises(DatasetError, match=f"train/{missing}; expected train.val.test"):
        list(find_files(tmp_path))


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere: no such folder; name the folder that holds"):
        list(find_files(tmp_path / "nowhere"))


def test_file_is_not_called_a_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "set.zip").touch()
    with pytest.raises(DatasetError, match=r"set\.zip: is a file, not a folder; name the folder"):
        list(find_files(tmp_path / "set.zip"))


def test_val_may_be_absent_or_present(data_dir: Path) -> None:
    folder = data_dir / "val" / "NORMAL"
    folder.mkdir(parents=True)
    Image.new("L", (64, 64)).save(folder / "IM-9-1.png")
    assert {file.split for file in find_files(data_dir)} == {"train", "val"}


@pytest.mark.parametrize("folder", ["train/NORMAL", "train/PNEUMONIA", "test/NORMAL"])
def test_empty_label_folder_is_named(data_dir: Path, folder: str) -> None:
    shutil.rmtree(data_dir / folder, ignore_errors=True)
    (data_dir / folder).mkdir(parents=True)
    (data_dir / folder / ".DS_Store").touch()
    with pytest.raises(DatasetError, match=f"{folder}: the folder holds no files"):
        list(find_files(data_dir))


def test_linked_folders_are_entered_once(data_dir: Path) -> None:
    folder = data_dir / "train" / "NORMAL"
    folder.rename(data_dir / "elsewhere")
    folder.symlink_to(data_dir / "elsewhere")
    (data_dir / "elsewhere" / "loop").symlink_to(data_dir / "elsewhere")
    assert len([file for file in find_files(data_dir) if file.label == "NORMAL"]) == 4
