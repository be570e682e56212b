"""An install or a rollback that is killed at any step, as by a device that loses its power."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import killed_install
from cxr_edge.bundles.install import roll_back
from cxr_edge_runtime.bundle import MANIFEST
from installable import in_use, put


def killed_everywhere(before: Path, archive: Path, act: str) -> list[dict[str, Any]]:
    command = [sys.executable, killed_install.__file__, str(before), str(archive), act]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    results = [json.loads(line) for line in run.stdout.splitlines()]
    assert [result["killed"] for result in results] == [True] * (len(results) - 1) + [False]
    return results


def test_install_killed_at_any_step_leaves_the_old_or_the_new_bundle(
    archives: dict[str, Path], folder: Path
) -> None:
    for version in "123":
        put(archives[version], folder)
    results = killed_everywhere(folder, archives["4"], "install")
    steps = [result["before"] for result in results]
    # So that a device that loses its power is safe, too: a disk writes in any order until told to.
    assert [step for step in steps if step.startswith(("os.fsync", "os.rename", "os.sym"))][
        -7:
    ] == [
        "os.fsync .new-0004",
        "os.rename .new-0004 0004",
        "os.fsync bundles",
        "os.symlink 0004 .current",
        "os.rename .current current",
        "os.fsync bundles",
        "os.rename 0002 .going-0002",
    ]
    names = {path.name for path in (folder / "0003").iterdir()}
    assert names == {step.split()[1] for step in steps if step.startswith("open")} - {
        ".lock",
        "bundles",  # whether it can be written
    }
    assert names < {step.split()[1] for step in steps if step.startswith("os.fsync")}
    in_use = [result["in_use"] for result in results]
    switched = in_use.index("4")
    assert in_use == ["3"] * switched + ["4"] * (len(in_use) - switched)
    assert 10 < switched < len(in_use) - 5
    for result in results:
        assert result["then_in_use"] == "4"
        assert len(result["left"]) == 4
        assert result["left"][:2] == [".lock", "0003"]


def test_first_install_killed_at_any_step_leaves_no_bundle_or_the_new_one(
    archives: dict[str, Path], folder: Path
) -> None:
    results = killed_everywhere(folder, archives["1"], "install")
    in_use = [result["in_use"] for result in results]
    switched = in_use.index("1")
    assert switched > 10
    assert in_use == [None] * switched + ["1"] * (len(in_use) - switched)
    for result in results:
        assert result["then_in_use"] == "1"
        assert len(result["left"]) == 3


def test_rollback_killed_at_any_step_leaves_one_of_the_two_bundles(
    archives: dict[str, Path], folder: Path
) -> None:
    for version in "12":
        put(archives[version], folder)
    results = killed_everywhere(folder, archives["3"], "rollback")
    assert {result["in_use"] for result in results} == {"1", "2"}
    for result in results:
        assert result["then_in_use"] == "3"
        assert result["left"][1] == {"1": "0001", "2": "0002"}[result["in_use"]]
        assert len(result["left"]) == 4


def test_install_goes_on_where_a_removal_was_killed(
    archives: dict[str, Path], folder: Path
) -> None:
    """What was left before, too, is tidied up: by a kill while tidying up."""
    put(archives["1"], folder)
    put(archives["2"], folder)
    shutil.copytree(folder / "0001", folder / ".going-0001")
    (folder / ".going-0001" / MANIFEST).unlink()
    shutil.copytree(folder / "0001", folder / ".new-0003")
    shutil.copytree(folder / "0002", folder / "0007")
    (folder / ".current").symlink_to("0007")
    results = killed_everywhere(folder, archives["3"], "install")
    assert {result["in_use"] for result in results} == {"2", "3"}
    for result in results:
        assert result["then_in_use"] == "3"
        assert result["left"][:2] == [".lock", "0002"]
        assert len(result["left"]) == 4


def test_bundle_that_was_rolled_back_from_is_not_gone_back_to(
    archives: dict[str, Path], folder: Path
) -> None:
    put(archives["1"], folder)
    put(archives["2"], folder)
    roll_back(folder)
    results = killed_everywhere(folder, archives["3"], "install")
    assert {result["in_use"] for result in results} == {"1", "3"}
    for result in results:
        assert result["then_in_use"] == "3"
        assert len(result["left"]) == 4
        assert result["left"][:2] == [".lock", "0001"]
    put(archives["3"], folder)
    roll_back(folder)
    assert in_use(folder) == "1"
