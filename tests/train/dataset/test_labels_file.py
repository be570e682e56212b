import gzip
from pathlib import Path

import pytest

from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_train.dataset.labels_file import LabelledFilm, Labels, read_labels


def labels_of(folder: Path, text: str, **columns: str) -> Labels:
    file = folder / "labels.csv"
    file.write_bytes(text.encode("latin-1" if "ä" in text else "utf-8"))
    return read_labels(file, folder / "data", columns=columns, renamed={})


def test_columns_are_taken_by_name_and_further_ones_travel_along(tmp_path: Path) -> None:
    found = labels_of(
        tmp_path,
        "\ufeffFile,Label, patient ,split,Site,age\r\n"
        "a.png,TB,p1,Validation,north,062Y\r\n./b/c.png, CLEAR ,,,,\r\nd.png,TB,p2\r\n",
    )
    assert found.films == {
        "a.png": LabelledFilm("TB", "val", "p1", {"Site": "north", "age": "62"}),
        "b/c.png": LabelledFilm("CLEAR", "train", "", {"Site": "", "age": ""}),
        "d.png": LabelledFilm("TB", "train", "p2", {"Site": "", "age": ""}),
    }
    assert found.warnings == ()


def test_columns_of_other_names_are_named(tmp_path: Path) -> None:
    text = "Image Index,Finding\na.png,TB\n"
    found = labels_of(tmp_path, text, path="Image Index", label="Finding")
    assert found.films["a.png"].label == "TB"
    with pytest.raises(
        DatasetError, match=r"no column path and label; it has Image Index, Finding"
    ):
        labels_of(tmp_path, text)
    with pytest.raises(InvalidRequest, match="has no column 'Image'; it has Image Index"):
        labels_of(tmp_path, text, path="Image")
    with pytest.raises(InvalidRequest, match="sex is unknown; choose one of path, file, label"):
        labels_of(tmp_path, text, sex="Finding")
    with pytest.raises(DatasetError, match="a column label, which is also the new name of Finding"):
        labels_of(tmp_path, "path,label,Finding\na.png,TB,TB\n", label="Finding")
    text = "path,label,Alter\na.png,TB,062Y\n"
    assert labels_of(tmp_path, text, age="Alter").films["a.png"].columns == {"age": "62"}


def test_folder_gives_the_split_that_the_file_does_not(tmp_path: Path) -> None:
    found = labels_of(tmp_path, "path,label\ntest/a.png,TB\nval/b.png,TB\ntest.png,TB\n")
    assert [film.split for film in found.films.values()] == ["test", "val", "train"]


def test_paths_may_be_absolute_or_have_the_strokes_of_windows(tmp_path: Path) -> None:
    found = labels_of(tmp_path, f"path,label\n{tmp_path}/data/a.png,TB\nb\\c.png,TB\n")
    assert list(found.films) == ["a.png", "b/c.png"]


def test_what_a_spreadsheet_leaves_is_passed_over(tmp_path: Path) -> None:
    found = labels_of(tmp_path, "path,label,,\na.png,TB,,\n,,,\na.png,TB,,\n")
    assert found.films == {"a.png": LabelledFilm("TB", "train", "", {})}


def test_absolute_path_may_go_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "data" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    found = labels_of(tmp_path, f"path,label\n{tmp_path}/link/b/a.png,TB\n")
    assert list(found.films) == ["b/a.png"]


def test_age_that_cannot_be_understood_is_counted(tmp_path: Path) -> None:
    found = labels_of(tmp_path, "path,label,Age\na.png,TB,old\nb.png,TB,7\nc.png,TB,\n")
    assert [film.columns["Age"] for film in found.films.values()] == ["", "7", ""]
    assert found.warnings == (
        "1 film with an age that cannot be understood, such as 'old'; it is left empty",
    )


@pytest.mark.parametrize(
    ("values", "is_split"),
    [
        (("Train", "Test"), True),
        (("dev", "HOLDOUT"), True),
        (("test", ""), True),
        (("train", "val"), False),
        (("chest", "test"), False),
        (("test", "test"), False),
    ],
)
def test_column_that_says_what_is_test_must_be_called_split(
    tmp_path: Path, values: tuple[str, str], is_split: bool
) -> None:
    text = f"path,label,part\na.png,TB,{values[0]}\nb.png,TB,{values[1]}\n"
    if is_split:
        with pytest.raises(DatasetError, match=r"the column part seems .*\(columns split=part\)"):
            labels_of(tmp_path, text)
    else:
        assert labels_of(tmp_path, text).films["a.png"].columns == {"part": values[0]}


def test_compressed_table_is_no_csv(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv.gz"
    file.write_bytes(gzip.compress(b"path,label\na.png,TB\n"))
    with pytest.raises(DatasetError, match="is not UTF-8; save it as CSV UTF-8"):
        read_labels(file, tmp_path, columns={}, renamed={})


def test_films_below_a_folder_test_are_test(tmp_path: Path) -> None:
    data = tmp_path / "test" / "films"
    (tmp_path / "labels.csv").write_text("path,label\na.png,TB\n")
    data.mkdir(parents=True)
    found = read_labels(tmp_path / "labels.csv", data, columns={}, renamed={})
    assert found.films["a.png"].split == "test"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as CSV"),
        ("path,label\n", "has no rows"),
        ("path;label\na.png;TB\n", "is separated by semicolons"),
        ("path;label;size\na.png;TB;1,5\n", "is separated by semicolons"),
        ("path,label\na.png,TB\n./a.png,CLEAR\n", "lists a.png twice"),
        ("path\tlabel\na.png\tTB\n", "is separated by tabs"),
        ("path,label\nä.png,TB\n", "is not UTF-8; save it as CSV UTF-8"),
        ("path,label\n,TB\n", "has a row without a path"),
        ("path,label\n../a.png,TB\n", "a.png lies outside"),
        (
            "path,label,split\na.png,TB,more\n",
            "a.png has the unknown split 'more'; choose",
        ),
        ("path,label,split\ntest/a.png,TB,train\n", "lies in a folder test.*test stays test"),
        ("path,label,md5\na.png,TB,x\n", "clean itself writes a column md5"),
        ("path,label,classes\na.png,TB,x\n", "clean itself writes a column classes"),
        ("path,file,label\na.png,b,TB\n", "two columns path or file"),
        ("path,label,Label\na.png,b,TB\n", "two columns label"),
        ("path,label,label\na.png,b,TB\n", "two columns label"),
        ("path,label\na.png,TB,x,y\nb\n", "a row has more fields than the first line"),
    ],
)
def test_damaged_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        labels_of(tmp_path, text)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere\.csv: no such file"):
        read_labels(tmp_path / "nowhere.csv", tmp_path, columns={}, renamed={})
