import errno
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cxr_edge.scoring import results as results_module
from cxr_edge.scoring.results import ResultsFolder
from cxr_edge.writers.csv_file import CSV_COLUMNS, ResultRow
from cxr_edge_runtime.errors import CxrEdgeError, InvalidRequest

DIGEST = "a" * 64


def a_row(name: str) -> ResultRow:
    return ResultRow(file=name, probability=0.25, borderline=True, bundle=DIGEST, notice="")


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    (tmp_path / "results").mkdir()
    return ResultsFolder(str(tmp_path / "results"))


def test_rows_come_back_typed_and_in_the_order_of_the_columns(
    folder: ResultsFolder, tmp_path: Path
) -> None:
    rows = [a_row("/a.png"), replace(a_row("/b.png"), probability=None, error="no")]
    folder.write(["/a.png", "/b.png"], DIGEST, rows)
    [file] = (tmp_path / "results").glob("*.parquet")
    schema = pq.read_schema(file)
    assert tuple(schema.names) == CSV_COLUMNS
    kinds = {name: str(schema.field(name).type) for name in CSV_COLUMNS}
    assert {name for name, kind in kinds.items() if kind == "double"} == {
        "probability",
        "threshold",
        "prevalence",
        "logit",
        "distance",
    }
    assert kinds["borderline"] == "bool"
    assert {kind for kind in kinds.values() if kind not in ("double", "bool")} == {"string"}
    assert folder.read(["/a.png", "/b.png"], DIGEST) == rows
    assert list(folder.written(DIGEST, prevalence=None)) == ["/a.png", "/b.png"]


def test_batch_that_is_written_twice_is_one_file_of_the_same_bytes(
    folder: ResultsFolder, tmp_path: Path
) -> None:
    folder.write(["/a.png"], DIGEST, [a_row("/a.png")])
    [file] = (tmp_path / "results").iterdir()
    before = file.read_bytes()
    folder.write(["/a.png"], DIGEST, [a_row("/a.png")])
    assert [path.read_bytes() for path in (tmp_path / "results").iterdir()] == [before]
    folder.write(["/b.png"], DIGEST, [a_row("/b.png")])
    assert len(list((tmp_path / "results").iterdir())) == 2
    assert folder.read(["/c.png"], DIGEST) is None


def test_results_of_another_bundle_are_not_mixed(folder: ResultsFolder) -> None:
    folder.write(["/a.png"], DIGEST, [a_row("/a.png")])
    with pytest.raises(InvalidRequest, match="results of another bundle \\(aaaaaaaaaaaa\\)"):
        list(folder.written("b" * 64, prevalence=None))


@pytest.mark.parametrize("name", ["film.png", "sub", "other.parquet"])
def test_folder_of_something_else_is_refused(
    folder: ResultsFolder, tmp_path: Path, name: str
) -> None:
    place = tmp_path / "results" / name
    if name == "sub":
        place.mkdir()
    else:
        pq.write_table(results_module.pa.table({"x": [1]}), place)
    with pytest.raises(
        InvalidRequest, match=f"something other than results.*{name}|{name} contains"
    ):
        list(folder.written(DIGEST, prevalence=None))


def test_damaged_file_is_named(folder: ResultsFolder, tmp_path: Path) -> None:
    (tmp_path / "results" / "a.parquet").write_bytes(b"")
    with pytest.raises(CxrEdgeError, match=r"results: a\.parquet: "):
        list(folder.written(DIGEST, prevalence=None))


def test_another_run_in_the_same_folder_is_refused_and_leftovers_go(
    folder: ResultsFolder, tmp_path: Path
) -> None:
    leftover = tmp_path / "results" / ".0123-abcdefgh.parquet"
    leftover.write_bytes(b"half")
    with folder.in_use() as shown:
        assert not leftover.exists()
        folder.check_shared(shown)
        with (
            pytest.raises(CxrEdgeError, match="another run of score is writing here"),
            folder.in_use(),
        ):
            pass
    assert list((tmp_path / "results").iterdir()) == []
    with folder.in_use():
        pass


def test_folder_that_a_node_does_not_share_is_found_out(tmp_path: Path) -> None:
    own, other = (ResultsFolder(str(tmp_path / name)) for name in ("own", "other"))
    with (
        own.in_use() as shown,
        pytest.raises(CxrEdgeError, match="is not the same folder in every process"),
    ):
        other.check_shared(shown)


@pytest.mark.parametrize("place", ["results", "memory://taken-over"])
def test_run_that_was_killed_writes_no_more_once_another_has_begun(
    tmp_path: Path, place: str
) -> None:
    place = place if "://" in place else str(tmp_path / place)
    folder = ResultsFolder(place)
    with folder.in_use() as killed:
        folder.check_not_taken_over(killed)
        path = f"{folder._root}/{killed}"
    # As a kill leaves it: the mark is there, the lock is not.
    folder._files.pipe_file(path, b"")
    folder.check_not_taken_over(killed)
    with folder.in_use() as later:
        folder.check_not_taken_over(later)
        with pytest.raises(CxrEdgeError, match="a later run of score has taken over this folder"):
            folder.check_not_taken_over(killed)


def test_folder_with_signs_of_a_pattern_in_its_name_is_read_again(tmp_path: Path) -> None:
    folder = ResultsFolder(str(tmp_path / "out[1]*"))
    with folder.in_use():
        for name in ("/a.png", "/b.png"):
            folder.write([name], DIGEST, [a_row(name)])
        assert sorted(folder.written(DIGEST, prevalence=None)) == ["/a.png", "/b.png"]


def test_full_disk_is_one_line(folder: ResultsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(results_module, "write_bytes", full)
    with pytest.raises(CxrEdgeError, match=r"results: No space left on device$"):
        folder.write(["/a.png"], DIGEST, [a_row("/a.png")])


def test_storage_that_is_not_local_takes_files_whole() -> None:
    folder = ResultsFolder("memory://score-test")
    with folder.in_use() as shown:
        folder.check_shared(shown)
        folder.write(["/a.png"], DIGEST, [a_row("/a.png")])
        assert list(folder.written(DIGEST, prevalence=None)) == ["/a.png"]
        assert folder.read(["/a.png"], DIGEST) == [a_row("/a.png")]


def test_prefix_of_an_object_store_is_there_only_with_its_first_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = ResultsFolder("memory://score-test-prefix")
    monkeypatch.setattr(folder._files, "makedirs", lambda path, exist_ok: None)
    with folder.in_use() as mark:
        folder.check_shared(mark)
        assert list(folder.written(DIGEST, prevalence=None)) == []


def test_unknown_storage_is_one_line() -> None:
    with pytest.raises(CxrEdgeError, match=r"^nowhere://x: Protocol not known: nowhere$"):
        ResultsFolder("nowhere://x")
