import csv
import os
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = f"{shlex.quote(sys.executable)} -m cxr_edge"


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``cxr-edge`` in a shell, which closes and redirects streams."""
    return subprocess.run(
        ["sh", "-c", f"{SCRIPT} {line}"], cwd=folder, capture_output=True, text=True, timeout=60
    )


def test_closed_stderr_changes_no_result_and_no_file(
    make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path
) -> None:
    make_image("film.png")
    line = f"classify film.png gone.png --bundle {golden_bundle} --log films.db --csv table.csv"
    done = shell(f"{line} 2>&-", tmp_path)
    assert done.returncode == 3
    assert "film.png" in done.stdout
    with (tmp_path / "table.csv").open(newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["film.png", "gone.png"]
    with sqlite3.connect(tmp_path / "films.db") as log:
        assert log.execute("SELECT count(*) FROM films").fetchone() == (1,)
        assert log.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    log.close()


@pytest.mark.parametrize("closed", [">&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_failure(
    make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path, closed: str
) -> None:
    make_image("film.png")
    done = shell(f"classify film.png --bundle {golden_bundle} {closed}", tmp_path)
    assert done.returncode == 0
    assert "film.png" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux alone has it")  # noqa: PTH110
def test_message_that_cannot_be_written_changes_no_exit_code(tmp_path: Path) -> None:
    assert shell("classify gone.png 2>/dev/full", tmp_path).returncode == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux alone has it")  # noqa: PTH110
@pytest.mark.parametrize("options", ["", "--json", "--csv /dev/stdout"])
def test_full_disk_behind_standard_output_is_named(
    make_image: Callable[..., Path], golden_bundle: Path, tmp_path: Path, options: str
) -> None:
    make_image("film.png")
    done = shell(f"classify film.png --bundle {golden_bundle} {options} >/dev/full", tmp_path)
    assert done.returncode == 1
    said = "/dev/stdout" if "csv" in options else "standard output"
    assert done.stderr.endswith(f"cxr-edge: {said}: No space left on device\n")


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["classify", ""], "after classify"),
        (["classify", "a.png", "--csv", ""], "after --csv"),
        (["classify", "a.png", "--csv="], "of --csv"),
        (["clean", ""], "after clean"),
        ([""], "after cxr-edge"),
    ],
)
def test_empty_argument_is_not_the_current_folder(
    cxr_edge: Any, arguments: list[str], place: str
) -> None:
    outcome = cxr_edge(*arguments)
    assert outcome.code == 2
    assert outcome.err == (
        f"cxr-edge: the argument {place} is empty; is a variable of the shell not set?\n"
    )
