from pathlib import Path
from typing import Any

import pytest

import cxr_edge
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train import architectures
from cxr_edge_train.fitting.events import FitStart, RunStart
from cxr_edge_train.fitting.train import train
from cxr_edge_train.recipe import Augmentation, Fit, Model, Recipe
from cxr_edge_train.runs import read_run
from tiny_model import TINY

SMALL = Recipe(
    Model(image_size=32),
    Augmentation(border=0.0, erase=0.0),
    Fit(batch_size=100, head_epochs=0, epochs=1, learning_rate=3e-3),
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(architectures, "ARCHITECTURES", {"tiny": TINY})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_run_knows_its_folder_and_warns_of_chance_and_of_images_in_no_split(
    tiny: None, tiny_road: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = tiny_road.splits.read_text().splitlines(keepends=True)
    (tmp_path / "s.csv").write_text("".join(lines[:-3]))
    starts: list[RunStart] = []
    fits: list[FitStart] = []

    def callbacks(fit: FitStart) -> tuple[()]:
        fits.append(fit)
        return ()

    standing_still = Recipe(SMALL.model, SMALL.augmentation, Fit(epochs=1, learning_rate=1e-9))
    run = cxr_edge.train(
        str(tiny_road.metadata),
        str(tmp_path / "s.csv"),
        architecture="tiny",
        weights=None,
        recipe=standing_still,
        on_start=starts.append,
        callbacks=callbacks,
    )
    folder = tmp_path / "cache" / "cxr-edge" / "runs" / "tiny-001"
    assert run.folder == folder
    assert run == read_run(folder)
    assert starts == [RunStart("tiny", folder, "cpu:0, float32")]
    # Of random weights nothing is frozen, so there are no epochs of the head alone.
    assert [(fit.folder, fit.number, fit.settings.head_epochs) for fit in fits] == [(folder, 0, 0)]
    assert run.warnings == (
        "3 images of the metadata are in no split",
        "on validation this model is not clearly better than chance; train longer",
    )
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": 3}, "metadata must be a path"),
        ({"splits": None}, "splits must be a path"),
        ({"output": 1.5}, "output must be a path"),
        ({"root": b"data"}, "root must be a path"),
        ({"weights": 7}, "weights must be a path"),
        ({"recipe": {"fit": {}}}, "recipe must be a path"),
        ({"seed": "0"}, "seed must be an integer"),
        ({"seed": -1}, "seed must be an integer from 0"),
        ({"min_sensitivity": "high"}, "min_sensitivity must be a number above 0 and at most 1"),
        ({"min_sensitivity": float("nan")}, "min_sensitivity must be a number above 0"),
        ({"architecture": ["tiny"]}, "unknown architecture"),
        ({"architecture": "resnet"}, "unknown architecture 'resnet'; known are tiny"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(
    tiny: None, tiny_road: Any, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    arguments = {
        "metadata": tiny_road.metadata, "splits": tiny_road.splits, "weights": "none",
        "output": tmp_path / "run",
    } | change  # fmt: skip
    with pytest.raises(InvalidRequest, match=message):
        train(**arguments)
    assert not (tmp_path / "run").exists()
