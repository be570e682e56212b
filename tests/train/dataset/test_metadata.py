import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.cleaning.clean import clean
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.dataset.metadata import (
    dataset_digest,
    read_metadata,
    read_splits,
    without_test,
    write_splits,
)
from cxr_edge_train.dataset.splits import assign_splits
from synthetic import draw_dataset


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return draw_dataset(tmp_path / "data", patients=12, test_patients=2)


def test_metadata_from_before_jpeg_step_is_still_read(data_dir: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.csv"
    clean(data_dir, output)
    now = read_metadata(output)
    assert now["jpeg_step"].isna().all()  # drawn as PNG
    lines = output.read_text().splitlines()
    output.write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    pd.testing.assert_frame_equal(read_metadata(output), now)


def test_step_of_a_jpeg_is_a_number(data_dir: Path, tmp_path: Path) -> None:
    film = data_dir / "train" / "NORMAL" / "IM-0000-0000"
    with Image.open(film.with_suffix(".png")) as image:
        image.save(film.with_suffix(".jpeg"), quality=75)
    clean(data_dir, tmp_path / "m.csv")
    assert read_metadata(tmp_path / "m.csv")["jpeg_step"].dropna().tolist() == [29.03125]


def test_missing_column_is_named(data_dir: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.csv"
    clean(data_dir, output)
    output.write_text(output.read_text().replace("md5", "hash", 1))
    with pytest.raises(DatasetError, match="has no column md5; make the file with cxr-edge clean"):
        read_metadata(output)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (",64,64,", ",wide,64,", "width 'wide' is not a positive number"),
        (",64,64,", ",64,0,", "height '0' is not a positive number"),
        (",64,64,", ",64,,", "height '' is not a positive number"),
        (",64,64,", ",nan,64,", "width 'nan' is not a positive number"),
        (",64,64,", ",inf,64,", "width 'inf' is not a positive number"),
        (",virus,", ",fungus,", "unknown kind 'fungus'; choose one of normal, bacteria, virus"),
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


def test_metadata_without_a_row_is_named(data_dir: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.csv"
    clean(data_dir, output)
    output.write_text(output.read_text().splitlines()[0] + "\n")
    with pytest.raises(
        DatasetError, match=r"m\.csv: has no rows; make the file with cxr-edge clean"
    ):
        read_metadata(output)


def test_semicolons_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("path;split\na;train\n")
    with pytest.raises(DatasetError, match="separated by semicolons; save it with commas"):
        read_metadata(path)


def test_text_with_a_semicolon_is_no_table_with_semicolons(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("# Smaller; what is left out keeps its default.\n[fit]\n")
    with pytest.raises(DatasetError, match=r"recipe\.toml: has no column path"):
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


@pytest.mark.parametrize("other", ["train", "validation"])
def test_test_image_that_the_splits_call_otherwise_is_named(
    cleaned: tuple[Path, Path], other: str
) -> None:
    metadata, splits = cleaned
    lines = splits.read_text().splitlines()
    tested = [index for index, line in enumerate(lines) if line.endswith(",test")]
    for index in tested[-2:]:
        lines[index] = lines[index].replace(",test", f",{other}")
    splits.write_text("\n".join(lines) + "\n")
    first = lines[tested[-2]].split(",")[0]
    with pytest.raises(
        DatasetError, match=rf"s\.csv: {first} is test in the metadata and {other} here .*2 images"
    ):
        read_splits(splits, read_metadata(metadata))


def test_splits_may_call_more_images_test_and_may_lack_some(cleaned: tuple[Path, Path]) -> None:
    metadata, splits = cleaned
    lines = splits.read_text().replace(",validation", ",test").splitlines()
    splits.write_text("\n".join(line for line in lines if "/test/NORMAL" not in line) + "\n")
    found = read_splits(splits, read_metadata(metadata))
    assert set(found["split"]) == {"train", "test"}


def test_further_columns_of_the_user_are_kept(cleaned: tuple[Path, Path]) -> None:
    metadata, splits = cleaned
    lines = metadata.read_text().splitlines()
    metadata.write_text("\n".join([f"{lines[0]},site", *(f"{line},7" for line in lines[1:])]))
    assert set(read_splits(splits, read_metadata(metadata))["site"]) == {"7"}


def test_misspelt_split_is_named(cleaned: tuple[Path, Path]) -> None:
    metadata, splits = cleaned
    splits.write_text(splits.read_text().replace(",validation", ",validatoin"))
    with pytest.raises(
        DatasetError, match="unknown split 'validatoin'; choose one of train, valid"
    ):
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


@pytest.mark.parametrize("spelling", [str, str.upper, " {}".format])
def test_image_listed_under_a_second_path_is_named(
    cleaned: tuple[Path, Path], spelling: Callable[[str], str]
) -> None:
    """So a test image was measured as validation, without a log."""
    metadata, _ = cleaned
    lines = metadata.read_text().splitlines()
    path, md5 = (lines[-1].split(",")[column] for column in (0, 5))
    copy = lines[-1].replace(path, f"./{path}").replace(md5, spelling(md5))
    metadata.write_text("\n".join([*lines, copy]) + "\n")
    with pytest.raises(DatasetError, match=rf"\./{path} is the same file as {path}; make the"):
        read_metadata(metadata)


def test_images_to_train_and_choose_with_come_by_path(cleaned: tuple[Path, Path]) -> None:
    metadata, splits = cleaned
    table = read_splits(splits, read_metadata(metadata))
    kept = without_test(table.iloc[::-1])
    assert set(kept["split"]) == {"train", "validation"}
    assert list(kept["path"]) == sorted(table.loc[table["split"] != "test", "path"])
    assert list(kept.index) == list(range(len(kept)))


def test_digest_does_not_depend_on_where_the_files_lie(data_dir: Path, tmp_path: Path) -> None:
    clean(data_dir, tmp_path / "m.csv")
    moved = Path(shutil.move(data_dir, tmp_path / "elsewhere"))
    clean(moved, tmp_path / "n.csv")
    digests = {dataset_digest(read_metadata(tmp_path / name)) for name in ("m.csv", "n.csv")}
    assert len(digests) == 1


def test_digest_depends_on_domains_and_not_on_an_empty_column(cleaned: tuple[Path, Path]) -> None:
    metadata, splits = cleaned
    table = read_splits(splits, read_metadata(metadata))
    assert dataset_digest(table.assign(look="")) == dataset_digest(table)
    digests = {dataset_digest(table.assign(look=domain)) for domain in ("A", "B")}
    assert len(digests | {dataset_digest(table)}) == 3


def test_positives_are_pneumonia() -> None:
    table = pd.DataFrame({"label": ["NORMAL", "PNEUMONIA", "PNEUMONIA"]})
    assert positives(table).tolist() == [0, 1, 1]
