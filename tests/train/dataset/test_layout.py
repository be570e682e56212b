import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_train.dataset.layout import open_dataset
from synthetic import draw_dataset


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return draw_dataset(tmp_path / "data", patients=2)


def test_order_is_stable(data_dir: Path) -> None:
    folder = data_dir / "train" / "NORMAL"
    for name in ("a/b.png", "a-b.png", "a.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("L", (64, 64)).save(folder / name)
    paths = [Path(file.path) for file in open_dataset(data_dir).files()]
    assert paths == sorted(paths)
    assert len(paths) == 11


def test_hidden_folders_are_not_entered(data_dir: Path) -> None:
    hidden = data_dir / "train" / "NORMAL" / ".ipynb_checkpoints"
    hidden.mkdir()
    Image.new("L", (64, 64)).save(hidden / "copy.png")
    assert all("copy.png" not in file.path for file in open_dataset(data_dir).files())


def test_folder_that_cannot_be_read_is_an_error_and_not_empty(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DatasetError, match="cannot be read \\(Permission denied\\)"):
        list(open_dataset(data_dir).files())


@pytest.mark.parametrize("missing", ["NORMAL", "PNEUMONIA"])
def test_folder_without_the_structure_says_what_is_expected(tmp_path: Path, missing: str) -> None:
    present = {"NORMAL": "PNEUMONIA", "PNEUMONIA": "NORMAL"}[missing]
    (tmp_path / "train" / present).mkdir(parents=True)
    with pytest.raises(DatasetError, match=f"train/{missing}; expected train.val.test"):
        list(open_dataset(tmp_path).files())


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere: no such folder; name the folder with train"):
        list(open_dataset(tmp_path / "nowhere").files())


def test_file_is_not_called_a_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "set.zip").touch()
    with pytest.raises(DatasetError, match=r"set\.zip: is a file, not a folder; name the folder"):
        list(open_dataset(tmp_path / "set.zip").files())


def test_val_may_be_absent_or_present(data_dir: Path) -> None:
    folder = data_dir / "val" / "NORMAL"
    folder.mkdir(parents=True)
    Image.new("L", (64, 64)).save(folder / "IM-9-1.png")
    assert {file.split for file in open_dataset(data_dir).files()} == {"train", "val"}


@pytest.mark.parametrize("folder", ["train/NORMAL", "train/PNEUMONIA", "test/NORMAL"])
def test_empty_label_folder_is_named(data_dir: Path, folder: str) -> None:
    shutil.rmtree(data_dir / folder, ignore_errors=True)
    (data_dir / folder).mkdir(parents=True)
    (data_dir / folder / ".DS_Store").touch()
    with pytest.raises(DatasetError, match=f"{folder}: the folder holds no files"):
        list(open_dataset(data_dir).files())


def test_linked_folders_are_entered_once(data_dir: Path) -> None:
    folder = data_dir / "train" / "NORMAL"
    folder.rename(data_dir / "elsewhere")
    folder.symlink_to(data_dir / "elsewhere")
    (data_dir / "elsewhere" / "loop").symlink_to(data_dir / "elsewhere")
    assert len([file for file in open_dataset(data_dir).files() if file.label == "NORMAL"]) == 4


def test_label_folders_need_no_split_folders(data_dir: Path) -> None:
    (data_dir / "train" / "labels.csv").write_text("not a film")
    files = list(open_dataset(data_dir / "train").files())
    assert {file.split for file in files} == {"train"}
    assert [file.path for file in files] == sorted(
        path.relative_to(data_dir / "train").as_posix()
        for path in (data_dir / "train").rglob("*.png")
    )


def test_folders_get_other_names_and_two_become_one_class(data_dir: Path) -> None:
    train = data_dir / "train"
    (train / "NORMAL").rename(train / "clear")
    (train / "PNEUMONIA").rename(train / "Lung_Opacity")
    shutil.copytree(train / "Lung_Opacity", train / "Effusion")
    renamed = {"clear": "NORMAL", "Lung_Opacity": "PNEUMONIA", "Effusion": "PNEUMONIA"}
    files = list(open_dataset(data_dir, renamed=renamed).files())
    assert Counter(file.label for file in files) == {"NORMAL": 4, "PNEUMONIA": 8}
    with pytest.raises(InvalidRequest, match="no label 'Lung'; it has Effusion, Lung_Opacity, cl"):
        open_dataset(data_dir, renamed={"Lung": "PNEUMONIA"})


def test_positive_names_the_classes(data_dir: Path) -> None:
    (data_dir / "train" / "NORMAL").rename(data_dir / "train" / "CLEAR")
    (data_dir / "train" / "PNEUMONIA").rename(data_dir / "train" / "TB")
    dataset = open_dataset(data_dir, positive="TB")
    assert dataset.names == ("CLEAR", "TB")
    assert {file.label for file in dataset.files()} == {"CLEAR", "TB"}


def test_third_class_is_refused_with_the_way_to_merge_two(data_dir: Path) -> None:
    shutil.copytree(data_dir / "train" / "NORMAL", data_dir / "train" / "COVID")
    with pytest.raises(DatasetError, match=r"3 labels, COVID, NORMAL, PNEUMONIA.*map.*COVID=PNEU"):
        open_dataset(data_dir)


def test_unknown_layout_says_what_is_there_and_what_takes_it(tmp_path: Path) -> None:
    for name in ("TB", "clear"):
        (tmp_path / name).mkdir()
        Image.new("L", (64, 64)).save(tmp_path / name / "a.png")
    (tmp_path / "list.csv").touch()
    with pytest.raises(DatasetError) as caught:
        open_dataset(tmp_path)
    message = str(caught.value)
    assert "has no folder NORMAL" in message
    assert "TB/, clear/, list.csv" in message
    assert "TB and clear can be the classes: say which one is the finding (positive)" in message
    assert "TB=NORMAL, for example, renames or merges label folders (map)" in message
    assert "a table with the columns path and label takes films in any folders (labels)" in message


@pytest.mark.parametrize(("name", "meant"), [("TEST", "test"), ("dev", "val")])
def test_split_that_is_called_otherwise_is_not_left_out_silently(
    tmp_path: Path, name: str, meant: str
) -> None:
    draw_dataset(tmp_path / "data", patients=1)
    (tmp_path / "data" / name).mkdir()
    open_dataset(tmp_path / "data")  # nothing is in it
    Image.new("L", (64, 64)).save(tmp_path / "data" / name / "a.png")
    with pytest.raises(DatasetError, match=rf"{name}: call it {meant}, so that they are used"):
        open_dataset(tmp_path / "data")


def test_images_beside_the_splits_are_listed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    draw_dataset(data, patients=1)
    (data / "more" / "NORMAL").mkdir(parents=True)
    for name in ("more/NORMAL/a.png", "b.png"):
        Image.new("L", (64, 64)).save(data / name)
    (data / "notes.txt").touch()
    found = [file for file in open_dataset(data).files() if not file.label]
    assert [(file.path, file.refused) for file in found] == [
        ("b.png", "not below train, val, test"),
        ("more/NORMAL/a.png", "not below train, val, test"),
    ]


@pytest.mark.parametrize("below", ["test", "test/films", "a/test/b/films"])
def test_label_folders_below_a_test_folder_are_test(tmp_path: Path, below: str) -> None:
    folder = tmp_path / below
    for name in ("NORMAL", "PNEUMONIA"):
        (folder / name).mkdir(parents=True)
        Image.new("L", (64, 64)).save(folder / name / "a.png")
    (tmp_path / "a" / "train").mkdir(parents=True)
    assert {file.split for file in open_dataset(folder).files()} == {"test"}
