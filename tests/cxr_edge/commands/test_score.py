import csv
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from cxr_edge.scoring import cluster
from cxr_edge.writers.csv_file import CSV_COLUMNS

NOTICE = "Research use only. Not a medical device."

# The command ignores warnings; what comes after it is about the pipes of Ray's processes.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def address(collected: None) -> Iterator[str]:
    """A cluster that is there: joining it is faster than starting one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
        yield made.address
        made.shutdown()


@pytest.fixture
def score(cxr_edge: Any, address: str, golden_bundle: Path, tmp_path: Path) -> Callable[..., Any]:
    """Run the command into ``tmp_path / "out"`` unless told otherwise."""

    def run(source: object, *options: object, output: object = tmp_path / "out") -> Any:
        return cxr_edge(
            "score", source, "-o", output, "--address", address, "--bundle", golden_bundle, *options
        )

    return run


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ds.dataset(folder, format="parquet").to_table().to_pylist()
    return sorted(rows, key=lambda row: row["file"])


def test_rows_are_those_of_classify_in_a_table(
    score: Any, cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    for number in range(6):
        make_image(f"films/sub{number % 2}/{number}.png", seed=number)
    (tmp_path / "films" / "broken.png").write_bytes(b"no film")
    (tmp_path / "films" / "gone.png").symlink_to("nowhere")
    table, log = tmp_path / "answers.csv", tmp_path / "films.db"
    cxr_edge("classify", "-r", tmp_path / "films", "--csv", table, "--bundle", golden_bundle)
    outcome = score(tmp_path / "films", "--log", log)
    assert outcome.code == 3
    scored, results, notice = outcome.out.splitlines()
    assert scored == (
        "scored: 8, of which 6 have a prediction, 0 were rejected by the input gate and 2 have an "
        "error"
    )
    assert results == f"results: {tmp_path / 'out'}"
    assert notice.startswith(f"{NOTICE} Model: tiny-int8 1 (")
    begun, failed = outcome.err.splitlines()
    assert begun == "8 films to score"
    assert failed.startswith("cxr-edge: 2 films with an error, such as ")
    rows = rows_of(tmp_path / "out")
    assert tuple(rows[0]) == CSV_COLUMNS
    with table.open(newline="") as file:
        expected = sorted(csv.DictReader(file), key=lambda row: row["file"])
    written = [
        {
            name: "" if value is None else f"{value:.6f}" if isinstance(value, float) else value
            for name, value in row.items()
        }
        for row in rows
    ]
    assert written == expected
    with sqlite3.connect(log) as database:
        assert database.execute("SELECT count(*) FROM films").fetchone() == (6,)
    database.close()


def test_second_run_scores_only_what_has_no_row(
    score: Any, make_image: Callable[..., Path], tmp_path: Path
) -> None:
    for number in range(6):
        make_image(f"films/{number}.png", seed=number)
    assert score(tmp_path / "films").code == 0
    before = rows_of(tmp_path / "out")
    nothing = score(tmp_path / "films")
    assert nothing.code == 0
    assert nothing.out.splitlines()[0] == "skipped: 6, which have a row or were named before"
    assert nothing.err == "0 films to score\n"
    lost = sorted((tmp_path / "out").glob("*.parquet"))[::2]
    films_lost = sum(pq.read_metadata(path).num_rows for path in lost)
    for path in lost:
        path.unlink()
    new = make_image("films/new.png", seed=99)
    outcome = score(tmp_path / "films")
    assert outcome.out.startswith(f"scored: {films_lost + 1}, of which {films_lost + 1} have")
    after = rows_of(tmp_path / "out")
    assert [row for row in after if row["file"] != str(new)] == before
    assert len(after) == 7


@pytest.mark.slow
def test_list_and_table_and_archive_name_films_and_none_is_scored_twice(
    score: Any, make_image: Callable[..., Path], tmp_path: Path
) -> None:
    films = [make_image(f"films/{number}.png", seed=number) for number in range(3)]
    (tmp_path / "list.txt").write_text(f"{films[0]}\nfile://{films[0]}\n{films[1]}\n{films[0]}\n")
    outcome = score(tmp_path / "list.txt")
    assert outcome.out.splitlines()[:2] == [
        "scored: 2, of which 2 have a prediction, 0 were rejected by the input gate and 0 have an "
        "error",
        "skipped: 2, which have a row or were named before",
    ]
    pq.write_table(pa.table({"path": list(map(str, films))}), tmp_path / "films.parquet")
    assert score(tmp_path / "films.parquet").out.startswith("scored: 1, of which 1 ")
    assert [row["file"] for row in rows_of(tmp_path / "out")] == list(map(str, films))
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        archive.write(films[2], "in/film.png")
    url = f"zip://in::file://{tmp_path}/films.zip"
    assert score(url, output=f"file://{tmp_path}/other").code == 0
    [row] = rows_of(tmp_path / "other")
    assert row["file"] == f"zip://in/film.png::file://{tmp_path}/films.zip"
    assert row["probability"] == rows_of(tmp_path / "out")[2]["probability"]


def test_all_films_with_errors_are_an_error(score: Any, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("/absent/a.png\n/absent/b.png\n")
    outcome = score(tmp_path / "list.txt")
    assert outcome.code == 1
    assert outcome.err.endswith(
        "cxr-edge: 2 films with an error, such as /absent/a.png: no such file\n"
    )


def test_films_without_a_row_are_counted(
    score: Any, make_image: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cxr_edge.scoring import pipeline
    from cxr_edge.scoring.backlog import Batch
    from cxr_edge.scoring.worker import Report

    def one_of_two(*arguments: Any, **options: Any) -> Iterator[Report]:
        yield Report(Batch(1, 1, b""), classified=1)

    monkeypatch.setattr(pipeline, "score_all", one_of_two)
    for number in range(2):
        make_image(f"films/{number}.png")
    outcome = score(tmp_path / "films")
    assert outcome.code == 3
    assert outcome.err.endswith(
        "cxr-edge: 1 film without a row: each worker that scored them ended, as Ray's logs tell; a "
        "second run tries again\n"
    )


def test_engine_that_no_node_has_ends_in_one_line(
    score: Any, make_image: Callable[..., Path], tmp_path: Path
) -> None:
    make_image("films/a.png")
    outcome = score(tmp_path / "films", "--engine", "onnxruntime")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1].startswith(
        "cxr-edge: onnxruntime does not run tflite models"
    )


@pytest.mark.parametrize(
    ("address", "code", "message"),
    [
        ("ray://127.0.0.1:1", 2, "Ray Data does not work through Ray Client; run this on a"),
        ("nonsense", 2, "is not the address of a cluster; give HOST:PORT or auto"),
        ("auto", 1, "no Ray responds there, or it requires another token"),
        ("127.0.0.1:1", 1, "no Ray responds there, or it requires another token"),
    ],
)
def test_address_without_a_cluster_is_one_line(
    cxr_edge: Any,
    make_image: Callable[..., Path],
    tmp_path: Path,
    address: str,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "_PATIENCE_S", 3.0)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # where auto looks first
    film = make_image()
    outcome = cxr_edge("score", film.parent, "-o", tmp_path / "out", "--address", address)
    assert outcome.code == code
    assert outcome.err.startswith(f"cxr-edge: {address}: {message}")
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_input_and_output_that_make_no_sense_are_one_line(
    cxr_edge: Any, make_image: Callable[..., Path], tmp_path: Path, golden_bundle: Path
) -> None:
    film = make_image("films/a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "list").touch()
    for source, output, message in (
        (tmp_path / "empty", "out", f"{tmp_path / 'empty'}: no image in this folder"),
        (tmp_path / "none", "out", f"{tmp_path / 'none'}: no such folder or file"),
        (tmp_path / "list", "out", f"{tmp_path / 'list'}: names no film"),
        (film, "out", f"{film}: is a film; name a folder, a list or a Parquet table"),
        (film.parent, "films", "contains something other than results of score, such as a.png"),
        (film.parent, "list", f"{tmp_path / 'list'}: is a file, not a folder"),
    ):
        outcome = cxr_edge("score", source, "-o", tmp_path / output)
        assert outcome.code in (1, 2)
        assert message in outcome.err
        assert outcome.err.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_alone_it_starts_ray_with_a_token_says_nothing_of_it_and_leaves_no_process(
    make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    for number in range(3):
        make_image(f"films/{number}.png", seed=number)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # Where Ray would put a token of its own.
    environment["HOME"] = str(tmp_path)
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "cxr_edge", "score", "films", "-o", "out"),
            *("--workers", "1", "--bundle", str(golden_bundle)),
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0
    assert ended.stderr == "3 films to score\n"
    assert ended.stdout.startswith("scored: 3, of which 3 have a prediction")
    assert not (tmp_path / ".ray").exists()
    assert len(rows_of(tmp_path / "out")) == 3


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), pytest.param(signal.SIGKILL, -9, marks=pytest.mark.slow)],
)
def test_stopped_in_the_middle_it_goes_on_with_each_film_once(
    score: Callable[..., Any],
    address: str,
    golden_bundle: Path,
    make_image: Callable[..., Path],
    tmp_path: Path,
    number: signal.Signals,
    code: int,
) -> None:
    film = make_image("film.png", size=(2000, 2000))
    (tmp_path / "films").mkdir()
    for place in range(96):
        (tmp_path / "films" / f"{place:03}.png").hardlink_to(film)
    out = tmp_path / "out"
    running = subprocess.Popen(
        [
            *(sys.executable, "-m", "cxr_edge", "score", str(tmp_path / "films"), "-o", str(out)),
            *("--workers", "1", "--bundle", str(golden_bundle), "--address", address),
        ],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RAY_AUTH_MODE": "disabled"},
    )
    while not list(out.glob("*.parquet")):
        assert running.poll() is None, "it ended before it could be stopped"
        time.sleep(0.02)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == code
    if number == signal.SIGTERM:
        assert "rows already written stay, and the same command resumes" in said
    outcome = score(tmp_path / "films", "--workers", 2)
    assert outcome.code == 0
    assert "skipped: " in outcome.out
    assert [row["file"] for row in rows_of(out)] == sorted(map(str, (tmp_path / "films").iterdir()))
