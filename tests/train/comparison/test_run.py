import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pandas as pd
import pytest

from cxr_edge import compare
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.files import file_sha256
from cxr_edge_train import architectures
from cxr_edge_train.comparison import plan as comparison_plan
from cxr_edge_train.fitting.events import RunStart
from cxr_edge_train.recipe import Fit, Model, Recipe, recipe_as_toml
from tiny_model import TINY

RECIPE = Recipe(Model(image_size=32), fit=Fit(batch_size=100, head_epochs=0, epochs=1))


def test_finished_runs_are_not_trained_again_and_nothing_is_printed(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    for module in (architectures, comparison_plan):
        monkeypatch.setattr(module, "ARCHITECTURES", {"tiny": TINY, "twin": TINY})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    starts: list[RunStart] = []
    arguments: dict[str, Any] = {
        "metadata": str(trained.metadata), "splits": str(trained.splits), "weights": "none",
        "recipe": RECIPE, "output": str(tmp_path / "out"), "on_start": starts.append,
    }  # fmt: skip
    alone = compare(**arguments, architectures=["tiny"])
    both = compare(**arguments)
    assert [(start.architecture, start.finished) for start in starts] == [
        ("tiny", False), ("tiny", True), ("twin", False),
    ]  # fmt: skip
    assert [candidate.name for candidate in both.candidates] == ["tiny", "twin"]
    assert both.candidates[0].run == alone.candidates[0].run
    assert both.page == tmp_path / "out" / "comparison.html"
    assert both.page.exists()
    assert both.unread == both.choice.finalists
    assert both.log == tmp_path / "out" / "test-log.jsonl"
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_two_recipes_of_one_architecture_are_compared_and_resumed(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (architectures, comparison_plan):
        monkeypatch.setattr(module, "ARCHITECTURES", {"tiny": TINY})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = []
    for name, rate in (("slow", 1e-4), ("fast", 3e-3)):
        files.append(tmp_path / f"{name}.toml")
        recipe = replace(RECIPE, fit=replace(RECIPE.fit, learning_rate=rate))
        files[-1].write_text(recipe_as_toml(recipe))

    class Killed(Exception):
        pass

    starts: list[tuple[str, bool]] = []

    def kill_the_second(start: RunStart) -> None:
        starts.append((start.folder.name, start.finished))
        if starts == [("tiny-slow", False), ("tiny-fast", False)]:
            raise Killed

    arguments: dict[str, Any] = {
        "metadata": trained.metadata, "splits": trained.splits, "weights": "none",
        "architectures": ["tiny"], "recipe": files, "output": tmp_path / "out",
        "on_start": kill_the_second,
    }  # fmt: skip
    with pytest.raises(Killed):
        compare(**arguments)
    found = compare(**arguments)
    assert starts[2:] == [("tiny-slow", True), ("tiny-fast", False)]
    slow, fast = found.candidates
    assert (slow.name, slow.run.architecture) == ("tiny-slow", "tiny")
    assert list(found.choice.p_values) == ["tiny-slow", "tiny-fast"]
    assert fast.run.folder == tmp_path / "out" / "runs" / "tiny-fast"
    rows = list(csv.DictReader((tmp_path / "out" / "comparison.csv").read_text().splitlines()))
    assert [(row["architecture"], row["candidate"]) for row in rows] == [
        ("tiny", "tiny-slow"), ("tiny", "tiny-fast"),
    ]  # fmt: skip
    for row, candidate in zip(rows, found.candidates):
        assert int(row["correct_at_floor"]) == candidate.correct.sum()
        assert int(row["validation_images"]) == len(candidate.labels)
        assert row["kept_epoch"] == "1"
    page = (tmp_path / "out" / "comparison.md").read_text()
    assert f"{fast.correct.sum()} of {len(fast.labels)}" in page
    accuracy = fast.metrics.accuracy
    assert f"{round(accuracy.value * accuracy.n)} of {accuracy.n}" in page


def test_all_candidates_are_shown_the_boxes_of_the_locator(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locator: Any
) -> None:
    for module in (architectures, comparison_plan):
        monkeypatch.setattr(module, "ARCHITECTURES", {"tiny": TINY, "twin": TINY})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    starts: list[tuple[str, int, bool]] = []

    class Killed(Exception):
        pass

    def note(start: RunStart) -> None:
        starts.append((start.architecture, start.epochs_done, start.finished))

    class Kill(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            if epoch == 1 and len(starts) == 1:
                raise Killed

    arguments: dict[str, Any] = {
        "metadata": trained.metadata, "splits": trained.splits, "weights": "none",
        "recipe": replace(RECIPE, fit=replace(RECIPE.fit, epochs=2)), "output": tmp_path / "out",
        "locator": str(locator.folder), "on_start": note,
        "callbacks": lambda _: [Kill()],
    }  # fmt: skip
    with pytest.raises(Killed):
        compare(**arguments)
    found = compare(**arguments)
    assert starts == [("tiny", 0, False), ("tiny", 1, False), ("twin", 0, False)]
    digest = file_sha256(locator.folder / "locator.json")
    for candidate in found.candidates:
        assert (candidate.run.preprocess.version, candidate.run.locator_sha256) == (2, digest)
        assert (candidate.run.folder / "locator.tflite").exists()
    for page in ("comparison.md", "comparison.html", "winner/MODEL_CARD.md"):
        text = " ".join((tmp_path / "out" / page).read_text().split())
        assert f"by the lung locator whose locator.json has SHA-256 {digest}" in text
    with pytest.raises(InvalidRequest, match="a finished run with another locator;"):
        compare(**arguments | {"locator": None})


def test_run_of_an_earlier_version_is_still_compared(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (architectures, comparison_plan):
        monkeypatch.setattr(module, "ARCHITECTURES", {"tiny": TINY})
    run = tmp_path / "out" / "runs" / "tiny"
    shutil.copytree(trained.run, run)
    history = pd.read_csv(run / "history.csv")[["epoch", "loss", "seconds", "val_loss"]]
    history.to_csv(run / "history.csv", index=False)
    found = compare(
        trained.metadata, trained.splits, architectures=["tiny"], weights="none",
        recipe=run / "recipe.toml", output=tmp_path / "out",
    )  # fmt: skip
    kept = found.candidates[0].kept_epoch
    assert kept == history.loc[history["epoch"] >= 0, "val_loss"].idxmin()
    assert found.page.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": 3}, "metadata must be a path"),
        ({"splits": 3}, "splits must be a path"),
        ({"output": 3}, "output must be a path"),
        ({"root": 3}, "root must be a path"),
        ({"weights": 3}, "weights must be a path"),
        ({"recipe": {"tiny": 3}}, "recipe must be a path"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"min_specificity": 0}, "min_specificity must be a number above 0"),
        ({"locator": 3}, "locator must be a path"),
        ({"test_log": 3}, "test_log must be a path"),
        ({"architectures": "tiny"}, "architectures must be a list of names"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused_before_anything_is_trained(
    trained: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    message: str,
) -> None:
    for module in (architectures, comparison_plan):
        monkeypatch.setattr(module, "ARCHITECTURES", {"tiny": TINY})
    arguments = {
        "metadata": trained.metadata, "splits": trained.splits, "weights": "none",
        "output": tmp_path / "out",
    } | change  # fmt: skip
    with pytest.raises(InvalidRequest, match=message):
        compare(**arguments)
    assert not (tmp_path / "out").exists()
