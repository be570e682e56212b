import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import cxr_edge
from cxr_edge_runtime.errors import InvalidRequest, RunError
from cxr_edge_runtime.images import load_grey
from cxr_edge_train import architectures
from cxr_edge_train.backend.keras_models import predict_logits
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.dataset.patients import UnknownPatients
from cxr_edge_train.evaluation.run_subject import load_model
from cxr_edge_train.fitting.events import FitStart, RunStart
from cxr_edge_train.fitting.train import train
from cxr_edge_train.recipe import Augmentation, Fit, Model, Recipe
from cxr_edge_train.run_locator import preprocessor_of
from cxr_edge_train.runs import read_dataset, read_predictions, read_run
from cxr_edge_train.statistics.operating_point import fit_operating_point
from locators import make_locator
from tiny_model import TINY

SMALL = Recipe(
    Model(image_size=32),
    Augmentation(crop=1.0),
    Fit(batch_size=100, head_epochs=0, epochs=1, learning_rate=3e-3),
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(architectures, "ARCHITECTURES", {"tiny": TINY})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_run_knows_its_folder_and_warns_of_chance_and_of_images_in_no_split(
    tiny: None, trained: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = trained.splits.read_text().splitlines(keepends=True)
    (tmp_path / "s.csv").write_text("".join(lines[:-3]))
    starts: list[RunStart] = []
    fits: list[FitStart] = []

    def callbacks(fit: FitStart) -> tuple[()]:
        fits.append(fit)
        return ()

    standing_still = Recipe(SMALL.model, SMALL.augmentation, Fit(epochs=1, learning_rate=1e-9))
    run = cxr_edge.train(
        str(trained.metadata),
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
    assert [(fit.folder, fit.settings.head_epochs) for fit in fits] == [(folder, 0)]
    left_out, chance, *_ = run.warnings
    assert left_out == "3 images of the metadata left out (in no split)"
    assert chance.startswith("on validation this model ranks NORMAL above PNEUMONIA")
    assert capfd.readouterr().out == ""


def test_unknown_patients_of_a_training_are_warned_of_and_recorded(
    tiny: None, trained: Any, tmp_path: Path
) -> None:
    table = pd.read_csv(trained.metadata, keep_default_na=False, dtype=str)
    table.loc[table["split"] == "test", "patient"] = ""
    table.loc[table.index[table["split"] == "train"][:3], "patient"] = ""
    table.to_csv(tmp_path / "m.csv", index=False)
    run = train(
        tmp_path / "m.csv",
        trained.splits,
        architecture="tiny",
        weights=None,
        recipe=SMALL,
        root=trained.root,
        output=tmp_path / "run",
    )
    assert read_run(run.folder).unknown_patients == UnknownPatients(3, of=1200)
    assert any("patient of 3 of 1200 images is unknown; each" in text for text in run.warnings)


def test_lowest_sensitivity_reaches_the_operating_point(
    tiny: None, trained: Any, tmp_path: Path
) -> None:
    run = train(
        trained.metadata,
        trained.splits,
        architecture="tiny",
        weights=None,
        recipe=SMALL,
        min_sensitivity=0.6,
        output=tmp_path / "run",
    )
    rows = read_dataset(run.folder)
    validation = rows[rows["split"] == "validation"]
    expected = fit_operating_point(
        read_predictions(run.folder, validation), positives(validation), min_sensitivity=0.6
    )
    assert run.operating_point.rule == expected.rule
    assert run.operating_point.threshold == pytest.approx(expected.threshold, abs=1e-6)
    assert run.operating_point.temperature == pytest.approx(expected.temperature, rel=1e-4)


def test_run_on_a_lung_locator_keeps_it_and_shows_the_model_the_lungs(
    tiny: None, trained: Any, tmp_path: Path, locator: Any
) -> None:
    arguments: dict[str, Any] = {"architecture": "tiny", "weights": None, "recipe": SMALL}
    whole = train(trained.metadata, trained.splits, output=tmp_path / "whole", **arguments)
    run = train(
        trained.metadata,
        trained.splits,
        output=tmp_path / "run",
        locator=str(locator.folder),
        **arguments,
    )
    assert run == replace(read_run(run.folder), warnings=run.warnings)
    assert (run.preprocess.version, run.preprocess.height) == (2, 32)
    for name in ("locator.json", "locator.tflite", "locator.onnx"):
        assert (run.folder / name).read_bytes() == (locator.folder / name).read_bytes()
        assert not (whole.folder / name).exists()
    assert "locator_sha256" not in json.loads((whole.folder / "run.json").read_text())
    validation = read_dataset(run.folder).query("split == 'validation'")
    prepare = preprocessor_of(run)
    films = [prepare(load_grey(trained.root / path).pixels) for path in validation["path"]]
    inputs = np.concatenate([film.model_input for film in films])
    logits = predict_logits(load_model(run.folder), inputs)
    np.testing.assert_allclose(logits, read_predictions(run.folder, validation), atol=1e-4)
    assert sum(film.box is not None for film in films) > 0.9 * len(films)


def test_locator_that_is_no_locator_is_refused_before_anything_is_made(
    tiny: None, trained: Any, tmp_path: Path, locator: Any
) -> None:
    arguments: dict[str, Any] = {"architecture": "tiny", "weights": None, "recipe": SMALL}
    with pytest.raises(RunError, match=r"no lung locator here \(locator.json is missing\)"):
        train(
            trained.metadata, trained.splits, output=tmp_path / "run", locator=tmp_path, **arguments
        )
    broken = make_locator(tmp_path / "broken")
    (broken.folder / "locator.tflite").write_bytes(b"another")
    with pytest.raises(RunError, match=r"locator.tflite: is not the file that locator.json"):
        train(
            trained.metadata,
            trained.splits,
            output=tmp_path / "run",
            locator=broken.folder,
            **arguments,
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": 3}, "metadata must be a path"),
        ({"splits": None}, "splits must be a path"),
        ({"output": 1.5}, "output must be a path"),
        ({"root": b"data"}, "root must be a path"),
        ({"locator": 7}, "locator must be a path"),
        ({"weights": 7}, "weights must be a path"),
        ({"recipe": {"fit": {}}}, "recipe must be a path"),
        ({"seed": "0"}, "seed must be a whole number"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"min_sensitivity": "high"}, "min_sensitivity must be a number above 0 and at most 1"),
        ({"callbacks": None}, "callbacks must be a function, not None"),
        ({"on_start": "x"}, "on_start must be a function, not 'x'"),
        ({"root": "nowhere"}, "root nowhere: no such folder"),
        ({"min_sensitivity": float("nan")}, "min_sensitivity must be a number above 0"),
        ({"architecture": ["tiny"]}, "unknown architecture"),
        ({"architecture": "resnet"}, "unknown architecture 'resnet'; choose one of tiny"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(
    tiny: None, trained: Any, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    arguments = {
        "metadata": trained.metadata, "splits": trained.splits, "weights": "none",
        "output": tmp_path / "run",
    } | change  # fmt: skip
    with pytest.raises(InvalidRequest, match=message):
        train(**arguments)
    assert not (tmp_path / "run").exists()
