import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.cleaning import workers
from cxr_edge_train.cleaning.workers import read_batches
from synthetic import draw_dataset


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    return sorted(map(str, draw_dataset(tmp_path / "data", patients=40).rglob("*.png")))


def test_facts_come_in_order_whatever_the_processes(paths: list[str]) -> None:
    batches = [paths[:70], [], paths[70:80], paths[80:]]
    alone, together = (list(read_batches(batches, workers=number)) for number in (1, 3))
    assert alone == together
    assert [len(batch) for batch in together] == [70, 0, 10, 80]


def test_batches_are_taken_as_they_are_needed(paths: list[str]) -> None:
    taken = 0

    def batches() -> Iterator[list[str]]:
        nonlocal taken
        for path in paths:
            taken += 1
            yield [path]

    reading = read_batches(batches(), workers=2)
    for _ in range(70):
        next(reading)
    assert taken <= 70 + 2 * 3 + 1
    reading.close()


def test_killed_process_is_one_clear_error(
    paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = workers._pool

    def with_a_killed_one(number: int) -> object:
        started = pool(number)
        started.submit(os._exit, 1)
        return started

    monkeypatch.setattr(workers, "_pool", with_a_killed_one)
    with pytest.raises(DatasetError, match="was killed, most likely for lack of memory"):
        list(read_batches([[path] for path in paths], workers=2))


def test_script_without_a_main_guard_is_not_run_again(paths: list[str], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom cxr_edge_train.cleaning.workers import read_batches\n"
        "batches = [[path] for path in sys.argv[1:]]\n"
        "print(sum(map(len, read_batches(batches, workers=2))))\n"
    )
    done = subprocess.run(
        [sys.executable, script, *paths],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (f"{len(paths)}\n", "")


def test_processes_import_nothing_from_the_current_folder(paths: list[str], tmp_path: Path) -> None:
    """A script of another folder does not; the server that multiprocessing starts would."""
    script = tmp_path / "program" / "script.py"
    script.parent.mkdir()
    script.write_text(
        "import os, sys\nfrom cxr_edge_train.cleaning.workers import read_batches\n"
        "batches = [[path] for path in sys.argv[1:]]\n"
        "print(sum(map(len, read_batches(batches, workers=2))), 'PYTHONSAFEPATH' in os.environ)\n"
    )
    for name in ("selectors", "socket", "numpy", "PIL"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [sys.executable, script, *paths],
        env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{len(paths)} False\n", done.stderr
    assert not (tmp_path / "marker").exists()
