from pathlib import Path

import pandas as pd
import pytest

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.test_films import lies_in_test, without_test_films


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("set/test", True),
        ("set/TEST/NORMAL", True),
        ("set/test/NORMAL/more/and/more", True),  # a folder train lies beside test
        ("alone/test/films", True),
        ("alone/test/films/more", False),
        ("set/train", False),
        ("testing/films", False),
    ],
)
def test_folder_counts_as_test_where_it_is_one_or_lies_in_one(
    tmp_path: Path, folder: str, expected: bool
) -> None:
    (tmp_path / "set" / "train").mkdir(parents=True)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    assert lies_in_test(tmp_path / folder) is expected


def test_home_of_somebody_called_test_is_no_test_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test" / "films").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "test"))
    assert not lies_in_test(tmp_path / "test" / "films")


@pytest.fixture
def metadata() -> pd.DataFrame:
    return pd.DataFrame(
        {"path": list("abcd"), "md5": ["0a", "0b", "0c", "0d"], "split": ["train"] * 3 + ["test"]}
    )


def splits_of(folder: Path, text: str) -> Path:
    file = folder / "s.csv"
    file.write_text(text)
    return file


def test_what_metadata_or_splits_call_test_is_left_out(
    metadata: pd.DataFrame, tmp_path: Path
) -> None:
    # The digest decides, whatever its case and the path; the rest may be of other metadata.
    splits = splits_of(
        tmp_path, "path,md5,split,look\nz, 0B ,test,A\na,0a,train,B\nother,ff,test,C\n"
    )
    films, warnings = without_test_films(Path("m.csv"), metadata, splits)
    assert list(films["path"]) == ["a", "c"]
    assert list(films["look"]) == ["B", ""]
    assert warnings == ("2 test films left out; measure on test with a log",)


def test_default_splits_may_be_missing_and_named_ones_not(
    metadata: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    films, _ = without_test_films(Path("m.csv"), metadata, Path("splits.csv"))
    assert list(films["path"]) == ["a", "b", "c"]
    with pytest.raises(DatasetError, match=r"splts\.csv: no such file"):
        without_test_films(Path("m.csv"), metadata, Path("splts.csv"))


def test_misspelt_test_is_an_error(metadata: pd.DataFrame, tmp_path: Path) -> None:
    splits = splits_of(tmp_path, "path,md5,split\na,0a,Test\n")
    with pytest.raises(DatasetError, match="unknown split 'Test'; choose one of train"):
        without_test_films(Path("m.csv"), metadata, splits)


def test_films_that_are_all_test_are_not_measured(metadata: pd.DataFrame, tmp_path: Path) -> None:
    splits = splits_of(tmp_path, "path,md5,split\na,0a,test\nb,0b,test\nc,0c,test\n")
    with pytest.raises(DatasetError, match=r"m\.csv: all its 4 films are test"):
        without_test_films(Path("m.csv"), metadata, splits)
