import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cxr_edge_train.cleaning import scanning
from cxr_edge_train.cleaning.scan_index import ScanIndex
from cxr_edge_train.cleaning.scanning import scan
from cxr_edge_train.dataset.layout import open_dataset
from cxr_edge_train.dataset.metadata import ImageRecord, LeftOut
from synthetic import draw_dataset


def left_out_of(data_dir: Path) -> list[LeftOut]:
    outcomes = [file.outcome for file in scan(open_dataset(data_dir), relative_to=data_dir.parent)]
    return [outcome for outcome in outcomes if isinstance(outcome, LeftOut)]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return draw_dataset(tmp_path / "data", patients=2)


def test_every_image_gets_a_record(data_dir: Path, tmp_path: Path) -> None:
    files = list(scan(open_dataset(data_dir), relative_to=tmp_path))
    assert len(files) == 8
    first = files[0].outcome
    assert len(files[0].thumbnail) == 32 * 32
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
        jpeg_step=None,
    )


def test_unusable_files_are_left_out_with_the_reason(data_dir: Path) -> None:
    folder = data_dir / "train" / "NORMAL"
    (folder / "note.txt").write_text("x")
    (folder / "text.jpeg").write_text("x")
    whole = (folder / "IM-0000-0000.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / ".DS_Store").touch()
    (folder / "moved.png").symlink_to("/nowhere.png")
    left_out = left_out_of(data_dir)
    reasons = {Path(item.path).name: item.reason for item in left_out}
    assert set(reasons) == {"note.txt", "text.jpeg", "half.png", "moved.png"}
    assert reasons["note.txt"] == "not an image"
    assert reasons["text.jpeg"].startswith("unreadable: text.jpeg: not a JPEG")
    assert reasons["half.png"].startswith("unreadable: half.png: damaged")
    assert reasons["moved.png"].endswith("moved.png: no such file")


def test_name_that_is_not_utf8_is_left_out(data_dir: Path) -> None:
    folder = os.fsencode(data_dir / "train" / "NORMAL")
    source = data_dir / "train" / "NORMAL" / "IM-0000-0000.png"
    shutil.copy(source, os.path.join(folder, b"z\xff.png"))  # noqa: PTH118  # bytes
    [left_out] = left_out_of(data_dir)
    assert left_out.path.endswith("z\\udcff.png")
    assert "not UTF-8" in left_out.reason


def test_film_below_neither_label_is_listed(data_dir: Path) -> None:
    Image.new("L", (64, 64)).save(data_dir / "train" / "stray.png")
    (data_dir / "train" / "notes").mkdir()
    (data_dir / "train" / "notes" / "a.txt").write_text("no film")
    left_out = left_out_of(data_dir)
    assert {item.path: item.reason for item in left_out} == dict.fromkeys(
        ["data/train/stray.png", "data/train/notes/a.txt"], "not below NORMAL or PNEUMONIA"
    )


def test_any_number_of_processes_finds_the_same(data_dir: Path) -> None:
    for number in range(200):
        Image.new("L", (64, 64), number).save(data_dir / "train" / "NORMAL" / f"x{number}.png")
    alone, together = (
        list(scan(open_dataset(data_dir), relative_to=data_dir, workers=workers))
        for workers in (1, 2)
    )
    assert alone == together
    assert len(alone) == 208


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are really read."""
    read: list[str] = []
    real = scanning.read_batches

    def watched(batches: Any, *, workers: int | None) -> Any:
        def noted() -> Any:
            for batch in batches:
                read.extend(batch)
                yield batch

        return real(noted(), workers=workers)

    monkeypatch.setattr(scanning, "read_batches", watched)
    return read


@pytest.fixture
def index(tmp_path: Path) -> Iterator[ScanIndex]:
    with contextlib.closing(ScanIndex(tmp_path / "cache")) as opened:
        yield opened


def test_unchanged_folder_is_not_read_twice(
    data_dir: Path, tmp_path: Path, reads: list[str], index: ScanIndex
) -> None:
    (data_dir / "train" / "NORMAL" / "broken.png").write_text("broken")
    first = list(scan(open_dataset(data_dir), relative_to=tmp_path, index=index))
    assert len(reads) == 9
    assert list(scan(open_dataset(data_dir), relative_to=tmp_path, index=index)) == first
    assert len(reads) == 9
    changed = data_dir / "train" / "NORMAL" / "broken.png"
    shutil.copy(data_dir / "train" / "NORMAL" / "IM-0000-0000.png", changed)
    again = list(scan(open_dataset(data_dir), relative_to=tmp_path, index=index))
    assert reads[9:] == [str(changed)]
    assert all(isinstance(file.outcome, ImageRecord) for file in again)


def test_file_of_the_same_size_and_time_is_still_seen_to_have_changed(
    data_dir: Path, tmp_path: Path, index: ScanIndex
) -> None:
    path = data_dir / "train" / "NORMAL" / "IM-0000-0000.png"
    before = list(scan(open_dataset(data_dir), relative_to=tmp_path, index=index))
    times = path.stat()
    path.write_bytes(path.read_bytes()[:-4] + b"xxxx")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert list(scan(open_dataset(data_dir), relative_to=tmp_path, index=index)) != before


def test_other_pattern_takes_effect_at_once(
    data_dir: Path, tmp_path: Path, reads: list[str], index: ScanIndex
) -> None:
    list(scan(open_dataset(data_dir), relative_to=tmp_path, index=index))
    pattern = re.compile(r"(0)")
    files = list(scan(open_dataset(data_dir), relative_to=tmp_path, index=index, pattern=pattern))
    assert len(reads) == 8
    assert "0" in {file.outcome.patient for file in files if isinstance(file.outcome, ImageRecord)}
