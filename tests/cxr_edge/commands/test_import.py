from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_train.runs import read_run

LOOSE = [
    "--max-recall-drop", 1, "--max-specificity-drop", 1, "--max-auc-drop", 1, "--min-agreement", 0,
]  # fmt: skip


@pytest.fixture(scope="module")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 1))
    hidden = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, strides=4)(image))
    hidden = keras.layers.Dense(8, activation="relu")(hidden)
    output = keras.layers.Dense(1, activation="sigmoid")(hidden)
    file = tmp_path_factory.mktemp("own") / "own.keras"
    model = keras.Model(image, output)
    # Brighter images, as those of PNEUMONIA are, have the higher probability.
    model.set_weights([np.abs(weights) for weights in model.get_weights()])
    model.save(file)
    return file


def test_imported_model_is_evaluated_and_converted_and_says_what_it_cannot_do(
    cxr_edge: Any, trained: Any, own_model: Path, tmp_path: Path
) -> None:
    run, output = tmp_path / "run", tmp_path / "out"
    outcome = cxr_edge(
        "import", own_model, "--metadata", trained.metadata, "--splits", trained.splits,
        "--labels", "NORMAL,PNEUMONIA", "--scaling", "0-1", "-o", run,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0].startswith("validation auc ")
    assert NOTICE in lines
    threshold = read_run(run).operating_point.threshold
    assert lines[-3].startswith(f"threshold {threshold:.4f} (highest specificity with sensitivity")
    assert lines[-2:] == [f"wrote {run}", f"next: cxr-edge convert {run} --int8 -o bundles"]

    outcome = cxr_edge(
        "evaluate",
        run,
        trained.metadata,
        "--splits",
        trained.splits,
        "-o",
        tmp_path / "eval",
    )
    assert outcome.code == 0, outcome.err
    assert "trained on other images" not in outcome.err
    assert (tmp_path / "eval" / "figures" / "roc.png").exists()
    assert not (tmp_path / "eval" / "figures" / "learning_curves.png").exists()

    outcome = cxr_edge("convert", run, "--int8", "--format", "both", "-o", output, *LOOSE)
    assert outcome.code == 0, outcome.err
    for name in ("int8", "onnx-int8-arm64"):
        bundle = Bundle.load(output / name)
        assert bundle.manifest.outputs == ("logit", "embedding")
        assert "No heat map" in (output / name / "MODEL_CARD.md").read_text()
        outcome = cxr_edge("info", output / name)
        assert outcome.code == 0
        assert "missing    no heat map: the model gives no activation map" in outcome.out
        assert "trained outside cxr-edge" in outcome.out
    assert "no heat map can be shown" in (output / "report.md").read_text()
    image = next((trained.root / "data" / "test" / "NORMAL").iterdir())
    assert cxr_edge("classify", image, "--bundle", output / "int8").code == 0
    assert cxr_edge("report", output).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'MODEL'"),
        (["gone.keras"], "gone.keras: no such file"),
        (["clean_metadata.csv"], "clean_metadata.csv: is not a Keras model"),
        (["gone.keras", "--labels", "NORMAL"], "no such file"),
        (["gone.keras", "--scaling", "0-2"], "--scaling"),
        (["gone.keras", "--min-sensitivity", "2"], "--min-sensitivity"),
    ],
)
def test_wrong_usage_is_one_clear_line(
    cxr_edge: Any, tmp_path: Path, trained: Any, arguments: list[str], message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clean_metadata.csv").touch()
    outcome = cxr_edge(
        "import", *arguments, "--metadata", trained.metadata, "--splits", trained.splits,
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "out").exists()


def test_metadata_must_be_given(cxr_edge: Any, own_model: Path, tmp_path: Path) -> None:
    outcome = cxr_edge("import", own_model, "-o", tmp_path / "out")
    assert (outcome.code, "Missing option '--metadata'" in outcome.err) == (2, True)
