import csv
import shutil
from pathlib import Path

import pytest

from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_train.dataset.metadata import (
    clean,
    dataset_digest,
    left_out_path,
    read_metadata,
    read_splits,
    write_splits,
)
from cxr_edge_train.dataset.scanning import METADATA_COLUMNS
from cxr_edge_train.dataset.splits import assign_splits
from synthetic import draw_dataset


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return draw_dataset(tmp_path / "data", patients=8, test_patients=2)


def test_clean_writes_one_row_an_image_and_touches_none(data_dir: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in data_dir.rglob("*.png")}
    output = tmp_path / "clean_metadata.csv"
    result = clean(data_dir, output)
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert len(rows) == len(result.kept) == len(before) == 40
    assert tuple(rows[0]) == METADATA_COLUMNS
    assert METADATA_COLUMNS == (
        "path", "split", "label", "kind", "patient", "md5", "width", "height", "mode", "bytes",
    )  # fmt: skip
    assert {path: path.read_bytes() for path in data_dir.rglob("*.png")} == before


def test_what_was_left_out_is_listed_beside(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "train" / "NORMAL"
    shutil.copy(folder / "IM-0000-0000.png", folder / "again.png")
    output = tmp_path / "clean_metadata.csv"
    clean(data_dir, output)
    assert left_out_path(output).name == "clean_metadata.left_out.csv"
    assert list(csv.DictReader(left_out_path(output).read_text().splitlines())) == [
        {
            "path": "data/train/NORMAL/again.png",
            "reason": "duplicate of data/train/NORMAL/IM-0000-0000.png",
        }
    ]


def test_same_folder_gives_the_same_bytes(data_dir: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / name for name in ("a.csv", "b.csv")]
    for output in outputs:
        clean(data_dir, output)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_label_without_usable_images_is_an_error(data_dir: Path, tmp_path: Path) -> None:
    for path in (data_dir / "train" / "NORMAL").iterdir():
        path.write_text("broken")
    with pytest.raises(DatasetError, match=r"no usable NORMAL image.*left_out\.csv"):
        clean(data_dir, tmp_path / "m.csv")
    assert not (tmp_path / "m.csv").exists()
    assert left_out_path(tmp_path / "m.csv").exists()


def test_missing_column_is_named(data_dir: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.csv"
    clean(data_dir, output)
    output.write_text(output.read_text().replace("md5", "hash", 1))
    with pytest.raises(DatasetError, match="has no column md5; make the file with cxr-edge clean"):
        read_metadata(output)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (",64,64,", ",wide,64,", "width 'wide' is no positive number"),
        (",64,64,", ",64,0,", "height '0' is no positive number"),
        (",64,64,", ",64,,", "height '' is no positive number"),
        (",64,64,", ",nan,64,", "width 'nan' is no positive number"),
        (",64,64,", ",inf,64,", "width 'inf' is no positive number"),
        (",virus,", ",fungus,", "unknown kind 'fungus'; known are normal, bacteria, virus"),
    ],
)
def test_value_that_no_cleaning_writes_is_named(
    data_dir: Path, tmp_path: Path, old: str, new: str, told: str
) -> None:
    output = tmp_path / "m.csv"
    clean(data_dir, output)
    output.write_text(output.read_text().replace(old, new, 1))
    with pytest.raises(DatasetError, match=told):
        read_metadata(output)


def test_semicolons_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("path;split\na;train\n")
    with pytest.raises(DatasetError, match="separated by semicolons; save it with commas"):
        read_metadata(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'"\n', b"path,split\n"])
def test_what_is_no_metadata_is_one_clear_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"m\.csv"):
        read_metadata(path)


def test_unknown_label_is_named(data_dir: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.csv"
    clean(data_dir, output)
    output.write_text(output.read_text().replace(",PNEUMONIA,", ",COVID,"))
    with pytest.raises(DatasetError, match="unknown label 'COVID'"):
        read_metadata(output)


def test_splits_of_other_images_are_refused(data_dir: Path, tmp_path: Path) -> None:
    clean(data_dir, tmp_path / "m.csv")
    metadata = read_metadata(tmp_path / "m.csv")
    write_splits(tmp_path / "s.csv", assign_splits(metadata, seed=0))
    assert len(read_splits(tmp_path / "s.csv", metadata)) == len(metadata)
    with pytest.raises(DatasetError, match="3 images are not in the metadata"):
        read_splits(tmp_path / "s.csv", metadata.iloc[3:])


@pytest.fixture
def cleaned(data_dir: Path, tmp_path: Path) -> tuple[Path, Path]:
    metadata, splits = tmp_path / "m.csv", tmp_path / "s.csv"
    clean(data_dir, metadata)
    write_splits(splits, assign_splits(read_metadata(metadata), seed=0))
    return metadata, splits


def test_splits_with_a_patient_on_both_sides_are_refused(cleaned: tuple[Path, Path]) -> None:
    metadata, splits = cleaned
    lines = splits.read_text().splitlines()
    index = next(i for i, line in enumerate(lines) if line.endswith(",validation"))
    lines[index] = lines[index].replace(",validation", ",train")
    splits.write_text("\n".join(lines) + "\n")
    with pytest.raises(DatasetError, match=r"patient \S+ is in more than one split"):
        read_splits(splits, read_metadata(metadata))


def test_metadata_given_as_splits_is_refused_or_has_no_validation(
    cleaned: tuple[Path, Path],
) -> None:
    metadata, _ = cleaned
    assert "validation" not in set(read_splits(metadata, read_metadata(metadata))["split"])


def test_misspelt_split_is_named(cleaned: tuple[Path, Path]) -> None:
    metadata, splits = cleaned
    splits.write_text(splits.read_text().replace(",validation", ",validatoin"))
    with pytest.raises(DatasetError, match="unknown split 'validatoin'; known are train, valid"):
        read_splits(splits, read_metadata(metadata))
    metadata.write_text(metadata.read_text().replace(",test,", ",tset,"))
    with pytest.raises(DatasetError, match="unknown split 'tset'"):
        read_metadata(metadata)


def test_image_listed_twice_is_named(cleaned: tuple[Path, Path]) -> None:
    metadata, _ = cleaned
    lines = metadata.read_text().splitlines()
    metadata.write_text("\n".join([*lines, lines[-1]]) + "\n")
    with pytest.raises(DatasetError, match=r"lists data/test/.* twice"):
        read_metadata(metadata)


def test_output_that_is_a_folder_is_refused(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="is a folder; name the file"):
        clean(data_dir, tmp_path)


def test_digest_does_not_depend_on_where_the_files_lie(data_dir: Path, tmp_path: Path) -> None:
    clean(data_dir, tmp_path / "m.csv")
    moved = Path(shutil.move(data_dir, tmp_path / "elsewhere"))
    clean(moved, tmp_path / "n.csv")
    digests = {dataset_digest(read_metadata(tmp_path / name)) for name in ("m.csv", "n.csv")}
    assert len(digests) == 1
