"""``classify --csv``, ``--heatmap`` and ``--log``: what it writes into files."""

import contextlib
import csv
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxr_edge.monitoring.prediction_log import PredictionLog
from cxr_edge_runtime import images
from cxr_edge_runtime.errors import LogError

NOTICE = "Research use only. Not a medical device."


@pytest.fixture(scope="module")
def tiny_onnx(tmp_path_factory: pytest.TempPathFactory, tiny_source: Any) -> Path:
    """A bundle with an INT8 ONNX model."""
    from cxr_edge_convert.bundling.output_folder import write_all
    from cxr_edge_convert.conversion import make_variants
    from cxr_edge_convert.limits import Limits
    from cxr_edge_convert.settings import ConversionSettings
    from cxr_edge_convert.variants import wanted_schemes

    schemes = wanted_schemes(formats=["onnx"], quantizations=["int8"], target="x86")
    settings = ConversionSettings(tuple(schemes), Limits(1.0, 1.0, 1.0, 0.0))
    folder = tmp_path_factory.mktemp("onnx") / "out"
    write_all(folder, tiny_source, settings, make_variants(tiny_source, settings))
    return folder / "onnx-int8-x86"


def test_csv_has_a_row_an_image(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    image, table = make_image("with, comma.png"), tmp_path / "answers.csv"
    missing = tmp_path / "gone.png"
    outcome = cxr_edge("classify", image, missing, "--csv", table, "--bundle", golden_bundle)
    assert outcome.code == 3
    with table.open(newline="") as file:
        answer, error = csv.DictReader(file)
    assert answer["file"] == str(image)
    assert answer["label"] in ("NORMAL", "PNEUMONIA")
    assert 0 <= float(answer["probability"]) <= 1
    assert (answer["gate"], answer["error"]) == ("not_checked", "")
    assert error["error"] == f"{missing}: no such file"
    assert (error["label"], error["probability"]) == ("", "")
    for row in (answer, error):
        assert row["notice"] == NOTICE
        assert len(row["bundle"]) == 64


def test_csv_that_cannot_be_written_is_found_before_any_work(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    outcome = cxr_edge(
        "classify", make_image(), "--csv", "/proc/answers.csv", "--bundle", golden_bundle
    )
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    outcome = cxr_edge("classify", make_image(), "--csv", tmp_path, "--bundle", golden_bundle)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("bundle", ["shipped", "onnx"])
def test_heat_map_is_drawn_from_the_models_own_map(
    cxr_edge: Any, make_image: Callable[..., Path], tmp_path: Path, bundle: str, tiny_onnx: Path
) -> None:
    images = [make_image("a/film.png"), make_image("b/film.png", seed=1)]
    more = ["--bundle", tiny_onnx] if bundle == "onnx" else []
    outcome = cxr_edge("classify", *images, "--heatmap", tmp_path / "maps", "--force", *more)
    assert outcome.code == 0, outcome.err
    pictures = sorted(file for file in (tmp_path / "maps").rglob("*") if file.is_file())
    assert len(pictures) == 2  # of films of one name, too
    digests = (hashlib.sha256(image.read_bytes()).hexdigest() for image in images)
    assert {picture.name for picture in pictures} == {
        f"film.png.{digest[:8]}.heatmap.png" for digest in digests
    }
    assert {picture.parent for picture in pictures} == {tmp_path / "maps"}
    with Image.open(pictures[0]) as picture:
        assert picture.width == 512
        assert picture.height > 512 * 80 // 96 + 60


@pytest.mark.parametrize("threads", [1, 2])
def test_heat_map_is_drawn_in_the_worker_of_its_film(
    cxr_edge: Any,
    make_image: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
) -> None:
    decoded = []

    def counted(image: Any, name: str, **more: Any) -> Any:
        decoded.append(threading.current_thread() is threading.main_thread())
        return to_grey(image, name, **more)

    to_grey = images.to_grey
    monkeypatch.setattr(images, "to_grey", counted)
    films = [make_image(f"{number}.png", seed=number) for number in range(5)]
    command = ("classify", *films, "--heatmap", tmp_path / "maps", "--force", "--threads", threads)
    outcome = cxr_edge(*command)
    assert outcome.code == 0, outcome.err
    assert len([path for path in (tmp_path / "maps").rglob("*") if path.is_file()]) == 5
    # For the model, and for the picture.
    assert decoded == [threads == 1] * 10


def test_heat_maps_lie_flat_and_are_no_films_themselves(
    cxr_edge: Any,
    make_image: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a_b.png", "a/b.png", "a/c/d.png"):
        make_image(name)
    command = ("classify", "-r", ".", "--heatmap", "maps", "--force", "--json")
    for _ in range(2):
        outcome = cxr_edge(*command)
        assert outcome.code == 0, outcome.err
        assert len(outcome.out.splitlines()) == 3
    pictures = sorted(str(file.relative_to("maps")) for file in Path("maps").rglob("*.png"))
    assert [re.sub(r"\.[0-9a-f]{8}\.", ".", name) for name in pictures] == [
        "a_b.png.heatmap.png", "b.png.heatmap.png", "d.png.heatmap.png",
    ]  # fmt: skip


def test_heat_map_of_an_image_of_the_same_name_is_another_file(
    cxr_edge: Any, make_image: Callable[..., Path], tmp_path: Path
) -> None:
    maps = tmp_path / "maps"
    for number in range(2):
        image = make_image("film.png", seed=number)
        assert cxr_edge("classify", image, "--heatmap", maps, "--force").code == 0
        assert len(list(maps.iterdir())) == number + 1


def test_heat_map_that_cannot_be_written_leaves_the_answers(
    cxr_edge: Any,
    make_image: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    images = [make_image("a.png"), make_image("b.png")]
    digest = hashlib.sha256(images[0].read_bytes()).hexdigest()
    (tmp_path / "maps" / f"a.png.{digest[:8]}.heatmap.png").mkdir(parents=True)
    outcome = cxr_edge("classify", *images, "--heatmap", "maps", "--force", "--csv", "a.csv")
    assert outcome.code == 3
    assert outcome.err.count("no heat map of ") == 1
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 3


def test_folder_for_heat_maps_that_is_a_file_is_refused_at_once(
    cxr_edge: Any, make_image: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "maps").write_text("a file")
    outcome = cxr_edge("classify", make_image("a.png"), "--heatmap", tmp_path / "maps")
    assert (outcome.code, outcome.out) == (2, "")
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize("name", ["film.png", "notes.txt"])
def test_csv_that_would_replace_something_else_is_refused(
    cxr_edge: Any, make_image: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    film, other = make_image("film.png"), make_image("other.png")
    (tmp_path / "notes.txt").write_text("mine")
    before = (tmp_path / name).read_bytes()
    outcome = cxr_edge("classify", "--csv", tmp_path / name, film, other)
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1
    assert (tmp_path / name).read_bytes() == before


def test_csv_of_an_earlier_time_is_replaced(
    cxr_edge: Any, make_image: Callable[..., Path], tmp_path: Path
) -> None:
    films = [make_image("a.png"), make_image("b.png")]
    for count in (2, 1):
        outcome = cxr_edge("classify", "--csv", tmp_path / "a.csv", *films[:count], "--force")
        assert outcome.code == 0, outcome.err
        assert len((tmp_path / "a.csv").read_text().splitlines()) == 1 + count


def test_log_gets_a_row_for_each_film_that_was_answered(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    films = [make_image(f"{name}.png", seed=seed) for seed, name in enumerate("abc")]
    films[1].write_bytes(b"no film")
    log = tmp_path / "log.db"
    for _ in range(2):
        outcome = cxr_edge("classify", *films, "--log", log, "--json", "--bundle", golden_bundle)
        assert outcome.code == 3
    with contextlib.closing(sqlite3.connect(log)) as connection:
        rows = connection.execute("SELECT * FROM films").fetchall()
    answers = [json.loads(line) for line in outcome.out.splitlines()]
    assert len(rows) == 4
    for film, answer, row in zip((films[0], films[2]), (answers[0], answers[2]), rows):
        assert row[0] == hashlib.sha256(film.read_bytes()).hexdigest()
        assert row[1] == answer["bundle"]["sha256"]
        assert row[2:4] == ("not_checked", None)
        assert row[4] == pytest.approx(answer["probability"], abs=1e-6)


def test_log_that_cannot_be_written_is_one_line_before_any_film(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.db").write_text("no database" * 100)
    for log, words in (("other.db", "is not a log of"), ("film.png", "has the name of an image")):
        outcome = cxr_edge(
            "classify", make_image(), "--log", tmp_path / log, "--bundle", golden_bundle
        )
        assert (outcome.code, outcome.out) == (2, "")
        assert words in outcome.err
        assert outcome.err.count("\n") == 1


def test_full_log_loses_no_row_of_the_csv(
    cxr_edge: Any,
    make_image: Callable[..., Path],
    golden_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(log: Any, films: Any) -> None:
        raise LogError("--log log.db: cannot be written (database or disk is full)")

    monkeypatch.setattr(PredictionLog, "append", full)
    films = [make_image("a.png"), make_image("b.png", seed=1)]
    table, log = tmp_path / "table.csv", tmp_path / "log.db"
    outcome = cxr_edge("classify", *films, "--csv", table, "--log", log, "--bundle", golden_bundle)
    assert outcome.code == 1
    assert "disk is full" in outcome.err
    # The heading, two rows with a note each and the notice: no line says that the log was written.
    assert len(outcome.out.splitlines()) == 6
    assert len(list(csv.DictReader(table.open(newline="")))) == 2


def test_log_and_table_cannot_be_one_file(
    cxr_edge: Any, make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    outcome = cxr_edge(
        "classify", make_image(), "--csv", file, "--log", file, "--bundle", golden_bundle
    )
    assert outcome.code == 2
    assert "cannot be both the CSV file and the log" in outcome.err


def test_sign_that_the_terminal_lacks_costs_no_row(
    make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    dark = tmp_path / "dark.png"
    Image.fromarray(np.full((80, 70), 90, np.uint8)).save(dark)
    table = tmp_path / "table.csv"
    done = subprocess.run(
        [sys.executable, "-m", "cxr_edge", "classify", dark, make_image(), "--csv", table,
         "--bundle", golden_bundle],
        env=os.environ | {"PYTHONIOENCODING": "cp1252"}, capture_output=True, encoding="cp1252",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "  ? low contrast" in done.stdout
    assert len(table.read_text().splitlines()) == 3
