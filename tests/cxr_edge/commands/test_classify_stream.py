"""``classify -`` in a pipe that stays open: each film is answered when its line comes."""

import csv
import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from waiting import PATIENCE_S

Make = Callable[..., Path]


@contextmanager
def classifying(bundle: Path, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """``classify -`` in a process of its own; killed where it leaves a film unanswered."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cxr_edge", "classify", "--bundle", bundle, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    watch = threading.Timer(PATIENCE_S, process.kill)
    watch.start()
    try:
        with process:
            yield process
    finally:
        watch.cancel()


def answer(process: "subprocess.Popen[str]", given: object) -> str:
    """Write a line, wait for one."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{given}\n")
    process.stdin.flush()
    return process.stdout.readline()


@pytest.mark.parametrize("threads", [(), ("--threads", 1), ("--threads", 4)])
def test_film_is_answered_before_the_next_line_comes(
    make_image: Make, golden_bundle: Path, tmp_path: Path, threads: tuple[object, ...]
) -> None:
    films = [make_image(f"{name}.png") for name in "ab"]
    with classifying(golden_bundle, "--json", *threads, "-") as process:
        for film in [films[0], tmp_path / "missing.png", films[1]]:
            result = json.loads(answer(process, film))
            assert result["file"] == str(film)
            assert ("error" in result) == (film not in films)
        process.communicate()
    assert process.returncode == 3  # the missing one


def test_rows_and_films_of_a_folder_are_not_held_back_either(
    make_image: Make, golden_bundle: Path, tmp_path: Path
) -> None:
    given = [make_image("first.png"), make_image("folder/a.png"), make_image("folder/b.png")]
    with classifying(golden_bundle, "--csv", "/dev/stdout", given[0], "-") as process:
        rows = answer(process, tmp_path / "folder")
        assert process.stdout is not None
        rows += "".join(process.stdout.readline() for _ in given)
        process.communicate()
    assert [row["file"] for row in csv.DictReader(io.StringIO(rows))] == list(map(str, given))
    assert process.returncode == 0
