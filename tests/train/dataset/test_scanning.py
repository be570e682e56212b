import hashlib
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.scanning import ImageRecord, LeftOut, find_files, scan
from synthetic import draw_dataset


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return draw_dataset(tmp_path / "data", patients=2)


def test_every_image_gets_a_record(data_dir: Path, tmp_path: Path) -> None:
    records = list(scan(find_files(data_dir), relative_to=tmp_path))
    assert len(records) == 8
    first = records[0]
    assert isinstance(first, ImageRecord)
    path = data_dir / "train" / "NORMAL" / "IM-0000-0000.png"
    assert first == ImageRecord(
        path="data/train/NORMAL/IM-0000-0000.png",
        split="train",
        label="NORMAL",
        kind="normal",
        patient="IM-0000",
        md5=hashlib.md5(path.read_bytes()).hexdigest(),
        width=64,
        height=64,
        mode="L",
        bytes=path.stat().st_size,
    )


def test_order_is_stable(data_dir: Path) -> None:
    files = find_files(data_dir)
    assert files == sorted(files)


def test_unusable_files_are_left_out_with_the_reason(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "train" / "NORMAL"
    (folder / "note.txt").write_text("x")
    (folder / "text.jpeg").write_text("x")
    whole = (folder / "IM-0000-0000.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / ".DS_Store").touch()
    left_out = [
        item
        for item in scan(find_files(data_dir), relative_to=tmp_path)
        if isinstance(item, LeftOut)
    ]
    reasons = {Path(item.path).name: item.reason for item in left_out}
    assert set(reasons) == {"note.txt", "text.jpeg", "half.png"}
    assert reasons["note.txt"] == "not an image"
    assert reasons["text.jpeg"].startswith("unreadable: text.jpeg: not a JPEG")
    assert reasons["half.png"].startswith("unreadable: half.png: damaged")


def test_hidden_folders_are_not_entered(data_dir: Path) -> None:
    hidden = data_dir / "train" / "NORMAL" / ".ipynb_checkpoints"
    hidden.mkdir()
    Image.new("L", (64, 64)).save(hidden / "copy.png")
    assert all("copy.png" not in path.name for path, _, _ in find_files(data_dir))


def test_folder_that_cannot_be_read_is_an_error_and_not_empty(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DatasetError, match="train: cannot be read \\(Permission denied\\)"):
        find_files(data_dir)


def test_name_that_is_not_utf8_is_left_out(data_dir: Path, tmp_path: Path) -> None:
    folder = os.fsencode(data_dir / "train" / "NORMAL")
    source = data_dir / "train" / "NORMAL" / "IM-0000-0000.png"
    shutil.copy(source, os.path.join(folder, b"z\xff.png"))  # noqa: PTH118  # bytes
    [left_out] = [
        item
        for item in scan(find_files(data_dir), relative_to=tmp_path)
        if isinstance(item, LeftOut)
    ]
    assert left_out.path.endswith("z\\udcff.png")
    assert "not UTF-8" in left_out.reason


@pytest.mark.parametrize("missing", ["NORMAL", "PNEUMONIA"])
def test_folder_without_the_structure_says_what_is_expected(tmp_path: Path, missing: str) -> None:
    present = {"NORMAL": "PNEUMONIA", "PNEUMONIA": "NORMAL"}[missing]
    (tmp_path / "train" / present).mkdir(parents=True)
    with pytest.raises(DatasetError, match=f"train/{missing}; expected train.val.test"):
        find_files(tmp_path)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        find_files(tmp_path / "nowhere")


def test_film_below_neither_label_is_listed(data_dir: Path, tmp_path: Path) -> None:
    for folder in ("train", "train/COVID"):
        (data_dir / folder).mkdir(exist_ok=True)
        Image.new("L", (64, 64)).save(data_dir / folder / "stray.png")
    left_out = [
        item
        for item in scan(find_files(data_dir), relative_to=tmp_path)
        if isinstance(item, LeftOut)
    ]
    assert {item.path: item.reason for item in left_out} == dict.fromkeys(
        ["data/train/stray.png", "data/train/COVID/stray.png"], "not below NORMAL or PNEUMONIA"
    )


def test_val_may_be_absent_or_present(data_dir: Path) -> None:
    folder = data_dir / "val" / "NORMAL"
    folder.mkdir(parents=True)
    Image.new("L", (64, 64)).save(folder / "IM-9-1.png")
    assert {split for _, split, _ in find_files(data_dir)} == {"train", "val"}
