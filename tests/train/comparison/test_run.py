from pathlib import Path
from typing import Any

import pytest

from cxr_edge import compare
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train import architectures
from cxr_edge_train.comparison import plan as comparison_plan
from cxr_edge_train.fitting.events import RunStart
from cxr_edge_train.recipe import Fit, Model, Recipe
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
