import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from cxr_edge_runtime.errors import InvalidRequest, RunError
from cxr_edge_train.fitting.fingerprint import RunFingerprint
from cxr_edge_train.fitting.unfinished import claimed, folder_for

PRINT = RunFingerprint("tiny", "none", "", 0, "digest", "[model]", "tensorflow", "float32")


def interrupt(folder: Path, settings: RunFingerprint = PRINT) -> None:
    with pytest.raises(KeyboardInterrupt), claimed(folder, settings):
        raise KeyboardInterrupt


def test_finished_claim_leaves_nothing(tmp_path: Path) -> None:
    with claimed(tmp_path / "run", PRINT):
        pass
    assert list((tmp_path / "run").iterdir()) == []


def test_same_settings_may_go_on(tmp_path: Path) -> None:
    interrupt(tmp_path)
    interrupt(tmp_path)
    with claimed(tmp_path, PRINT):
        pass


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, r"different settings \(seed 0 instead of 1\);"),
        ({"weights": "imagenet"}, "weights none instead of imagenet"),
        ({"recipe": "x", "backend": "jax"}, "recipe, backend"),
        ({"precision": "mixed_float16"}, r"\(precision\);"),
        ({"weights_sha256": "0f"}, r"\(weights_sha256\);"),
        ({"locator_sha256": "0f"}, r"\(locator_sha256\);"),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    interrupt(tmp_path)
    (tmp_path / "snapshot.npz").touch()
    with (
        pytest.raises(InvalidRequest, match=words),
        claimed(tmp_path, replace(PRINT, **change)),  # type: ignore[arg-type]
    ):
        pass


def test_settings_of_before_there_were_locators_may_go_on(tmp_path: Path) -> None:
    interrupt(tmp_path)
    (tmp_path / "snapshot.npz").touch()
    settings = json.loads((tmp_path / "unfinished.json").read_text())
    del settings["locator_sha256"]
    (tmp_path / "unfinished.json").write_text(json.dumps(settings))
    with claimed(tmp_path, PRINT):
        pass


def test_other_settings_replace_those_of_a_run_without_an_epoch(tmp_path: Path) -> None:
    interrupt(tmp_path)
    interrupt(tmp_path, replace(PRINT, seed=1))
    with claimed(tmp_path, replace(PRINT, seed=1)):
        pass


def test_only_one_process_trains_in_a_folder(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(InvalidRequest, match="another process is training into this folder"),
        claimed(tmp_path, PRINT),
    ):
        pass


def test_finished_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with (
        pytest.raises(InvalidRequest, match="holds a finished run"),
        claimed(tmp_path, PRINT),
    ):
        pass


@pytest.mark.parametrize("below", ["", "run"])
def test_output_that_is_a_file_is_one_clear_error(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("x")
    folder = tmp_path / "file" / below
    with (
        pytest.raises(InvalidRequest, match=r"is a file, not a folder|Not a directory"),
        claimed(folder, PRINT),
    ):
        pass


def test_damaged_settings_are_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "unfinished.json").write_text("{")
    with (
        pytest.raises(RunError, match=r"unfinished\.json: damaged"),
        claimed(tmp_path, PRINT),
    ):
        pass


def test_unfinished_run_of_the_same_settings_is_found_again(tmp_path: Path) -> None:
    finished, other, mine = (tmp_path / "runs" / f"tiny-{n:03}" for n in (1, 2, 3))
    assert folder_for(tmp_path, PRINT) == finished
    finished.mkdir(parents=True)
    (finished / "run.json").write_text("{}")
    interrupt(other, replace(PRINT, seed=1))
    assert folder_for(tmp_path, PRINT) == mine
    interrupt(mine)
    assert folder_for(tmp_path, PRINT) == mine


def test_folder_of_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    mine = {"best-of-my-work.keras": "a model", "history.csv": "epoch,loss"}
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    with (
        pytest.raises(InvalidRequest, match="since it contains best-of-my-work"),
        claimed(tmp_path, PRINT),
    ):
        pass
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == mine


def test_run_killed_before_it_tidied_up_is_known_as_finished(tmp_path: Path) -> None:
    interrupt(tmp_path)
    (tmp_path / "run.json").touch()
    other = replace(PRINT, seed=1)
    with pytest.raises(InvalidRequest, match="seed 0 instead of 1"), claimed(tmp_path, other):
        pass
    with claimed(tmp_path, PRINT) as finished:
        assert finished
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_run_finished_while_waiting_for_the_lock_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire = FileLock.acquire

    def finish_first(self: FileLock, *args: Any, **kwargs: Any) -> Any:
        (tmp_path / "run.json").touch()
        return acquire(self, *args, **kwargs)

    monkeypatch.setattr(FileLock, "acquire", finish_first)
    with (
        pytest.raises(InvalidRequest, match="holds a finished run"),
        claimed(tmp_path, PRINT),
    ):
        pass


def test_temporary_files_of_a_killed_process_go(tmp_path: Path) -> None:
    interrupt(tmp_path)
    (tmp_path / ".model-m9x9nwk7.keras").touch()
    with claimed(tmp_path, PRINT):
        pass
    assert list(tmp_path.iterdir()) == []
