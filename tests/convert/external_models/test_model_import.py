import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from changed_runs import write_dataset
from cxr_edge_convert.convert import convert
from cxr_edge_convert.external_models import model_import
from cxr_edge_convert.external_models.model_import import (
    UNKNOWN_WEIGHTS,
    _plain_name,
    import_keras_model,
)
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.sources import run_source
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import ConversionError, CxrEdgeError, DatasetError, InvalidRequest
from cxr_edge_train.backend.keras_models import predict_logits
from cxr_edge_train.evaluation.run_subject import RunSubject
from cxr_edge_train.progress import no_progress
from cxr_edge_train.runs import Run, read_run
from tiny_model import tiny_model

LOOSE = Limits(1.0, 1.0, 1.0, 0.0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def own_model(
    folder: Path, name: str = "my model (v2)", *, map_free: bool = False, sign: int = 1
) -> Path:
    keras.utils.set_random_seed(3)
    image = keras.Input((32, 32, 1))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(image)
    x = (keras.layers.Flatten if map_free else keras.layers.GlobalAveragePooling2D)()(x)
    file = folder / f"{name}.keras"
    model = keras.Model(image, keras.layers.Dense(1, activation="sigmoid")(x))
    # Brighter images, as those of PNEUMONIA are, have the higher output; with -1 the lower one.
    model.set_weights([np.abs(weights) for weights in model.get_weights()])
    dense = model.layers[-1]
    dense.set_weights([sign * weights for weights in dense.get_weights()])
    model.save(file)
    return file


def imported(file: Any, pipeline: Any, output: Any, **changes: Any) -> Run:
    choices = {"metadata": pipeline.metadata, "splits": pipeline.splits, "scaling": "0-1"}
    return import_keras_model(file, output=output, **choices | changes)


def test_model_becomes_a_run_that_says_what_is_unknown(trained: Any, tmp_path: Path) -> None:
    file, folder = own_model(tmp_path), tmp_path / "run"
    run = imported(str(file), trained, str(folder), metadata=str(trained.metadata))
    assert run == read_run(folder)
    assert run.folder == folder
    assert (run.architecture, run.weights) == ("my-model-v2", UNKNOWN_WEIGHTS)
    assert run.imported_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    made_here = read_run(trained.run)
    assert run.dataset_digest == made_here.dataset_digest
    assert run.test_digest == made_here.test_digest != ""
    assert run.unknown_patients == made_here.unknown_patients
    assert Path(run.root) == trained.root.resolve()
    assert run.metrics["validation"]["sensitivity"].value >= 0.95
    assert run.operating_point.rule == "highest specificity with sensitivity at least 0.95"
    assert (folder / "recipe.toml").read_text() == ""
    assert not (folder / "history.csv").exists()
    table = pd.read_csv(folder / "dataset.csv")
    assert set(table["split"]) == {"train", "validation"}
    assert (folder / "figures" / "roc.png").exists()
    assert not (folder / "figures" / "learning_curves.png").exists()


def test_name_of_a_file_becomes_one_that_a_bundle_can_have() -> None:
    assert _plain_name("my model, v2 ") == "my-model-v2"
    assert _plain_name("größe") == "gr-e"
    assert _plain_name("–") == "own"
    assert _plain_name("x" * 63 + " " + "y" * 200) == "x" * 63


def test_model_of_the_run_gives_the_probabilities_of_the_file(trained: Any, tmp_path: Path) -> None:
    file = own_model(tmp_path, sign=-1)
    imported(file, trained, tmp_path / "run", labels=("PNEUMONIA", "NORMAL"))
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 1)).astype(np.float32)
    normal = np.asarray(keras.models.load_model(file)(images / 255))
    made = keras.models.load_model(tmp_path / "run" / "model.keras")({"image": images})
    np.testing.assert_allclose(expit(made["logit"]), 1 - normal, rtol=1e-4)


def test_reversed_labels_are_refused_and_right_ones_taken(trained: Any, tmp_path: Path) -> None:
    # The trained network with a Dense layer in place of its map: the logit is that of PNEUMONIA.
    model = keras.models.load_model(trained.run / "model.keras")
    kernel, bias = model.get_layer("cam").get_weights()
    dense = keras.layers.Dense(1, activation="sigmoid")
    image = keras.Input((32, 32, 1))
    whole = keras.Model(image, dense(model({"image": image})["embedding"]))
    dense.set_weights([kernel[0, 0], bias])
    whole.save(tmp_path / "good.keras")
    right = imported(tmp_path / "good.keras", trained, tmp_path / "run", scaling="0-255")
    assert right.metrics["validation"]["auc"].value > 0.9
    with pytest.raises(InvalidRequest, match="the labels are reversed: on validation its"):
        imported(
            tmp_path / "good.keras", trained, tmp_path / "reversed", scaling="0-255",
            labels=("PNEUMONIA", "NORMAL"),
        )  # fmt: skip
    assert not (tmp_path / "reversed").exists()


def test_model_that_gives_no_number_for_an_image_is_one_clear_line(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_one_nan(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(pixels)) == 1, np.nan, predict_logits(model, pixels))

    monkeypatch.setattr(model_import, "predict_logits", with_one_nan)
    with pytest.raises(
        InvalidRequest,
        match=(
            r"gives no finite number for 1 of \d+ validation images, such as "
            "data/.*;"
        ),
    ):
        imported(trained.run / "model.keras", trained, tmp_path / "run", scaling=None)
    assert not (tmp_path / "run").exists()


def test_run_whose_labels_are_reversed_is_not_converted(trained: Any, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained.run, tmp_path / "run"))
    table = pd.read_csv(run / "dataset.csv", keep_default_na=False)
    other = {"NORMAL": "PNEUMONIA", "PNEUMONIA": "NORMAL"}
    write_dataset(run, table.assign(label=table["label"].map(other)))
    with pytest.raises(InvalidRequest, match="the labels of its model are reversed"):
        convert(run, tmp_path / "out", limits=LOOSE)
    assert not (tmp_path / "out").exists()


def test_imported_run_is_the_source_of_a_conversion(trained: Any, tmp_path: Path) -> None:
    run = imported(own_model(tmp_path), trained, tmp_path / "run")
    source = run_source(tmp_path / "run", root=None, cache_dir=tmp_path, progress=no_progress)
    assert source.license == "unknown"
    assert source.training.recipe == ""
    assert source.training.weights == UNKNOWN_WEIGHTS
    assert source.model_sha256 == run.imported_sha256
    assert source.validation.operating_point == run.operating_point
    assert len(source.validation.table) == 200


def test_run_that_was_trained_here_says_nothing_of_an_import(trained: Any) -> None:
    assert "imported_sha256" not in json.loads((trained.run / "run.json").read_text())
    assert read_run(trained.run).imported_sha256 == ""


def test_evaluation_knows_that_there_is_no_history_and_perhaps_no_map(
    trained: Any, tmp_path: Path
) -> None:
    imported(own_model(tmp_path), trained, tmp_path / "run")
    subject = RunSubject(tmp_path / "run")
    assert (subject.run_folder, subject.gives_maps) == (None, True)
    imported(own_model(tmp_path, map_free=True), trained, tmp_path / "other")
    assert not RunSubject(tmp_path / "other").gives_maps
    assert RunSubject(trained.run).run_folder == trained.run


def test_model_of_cxr_edge_itself_keeps_its_logits(trained: Any, tmp_path: Path) -> None:
    model = tiny_model()
    cam = model.get_layer("cam")
    cam.set_weights([-weights for weights in cam.get_weights()])  # its labels are reversed
    model.save(tmp_path / "tiny.keras")
    imported(tmp_path / "tiny.keras", trained, tmp_path / "run", scaling=None)
    source = run_source(tmp_path / "run", root=None, cache_dir=tmp_path, progress=no_progress)
    assert source.outputs == ("cam", "logit", "embedding")
    images = {"image": source.validation_pixels[:8].astype(np.float32)}
    logits = np.asarray(model(images, training=False)["logit"])[:, 0]
    np.testing.assert_allclose(source.validation.logits[:8], logits, atol=1e-5)


def test_conversion_of_an_imported_model_names_what_is_unknown(
    trained: Any, tmp_path: Path
) -> None:
    imported(own_model(tmp_path, "own"), trained, tmp_path / "run")
    report = convert(str(tmp_path / "run"), str(tmp_path / "out"), limits=LOOSE)
    assert [variant.name for variant in report.variants] == ["float32"]
    manifest = Bundle.load(tmp_path / "out" / "float32").manifest
    assert (manifest.name, manifest.license) == (
        "own-float32-loose-limits", "unknown",
    )  # fmt: skip
    card = (tmp_path / "out" / "float32" / "MODEL_CARD.md").read_text()
    assert "Trained outside cxr-edge" in card


@pytest.mark.parametrize("step", ["write_figures", "write_run"])
def test_interrupted_import_leaves_nothing(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    file = own_model(tmp_path, "own")
    monkeypatch.setattr(model_import, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        imported(file, trained, tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "own.keras"]


def test_folder_that_is_not_empty_is_refused_before_any_work(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_import, "contract_model", None)
    file = own_model(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").touch()
    for output, said in (
        (tmp_path / "run", "is not empty, since it contains thesis"),
        (file, "file"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            imported(file, trained, output)
    monkeypatch.chdir(tmp_path / "run")
    with pytest.raises(InvalidRequest, match="contains the current folder"):
        imported(file, trained, ".")


def test_empty_folder_is_filled(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    imported(own_model(tmp_path), trained, tmp_path / "run")
    assert (tmp_path / "run" / "run.json").exists()


def test_validation_of_one_label_is_refused(trained: Any, tmp_path: Path) -> None:
    lines = trained.splits.read_text().splitlines(keepends=True)
    one = [line.replace("validation", "train") if "NORMAL" in line else line for line in lines]
    (tmp_path / "splits.csv").write_text("".join(one))
    with pytest.raises(DatasetError, match="validation needs images of both labels"):
        imported(own_model(tmp_path), trained, tmp_path / "run", splits=tmp_path / "splits.csv")


def test_wrong_arguments_are_one_clear_error(trained: Any, tmp_path: Path) -> None:
    file, metadata, splits = own_model(tmp_path), trained.metadata, trained.splits
    wrong: list[tuple[tuple[Any, ...], dict[str, Any], type[CxrEdgeError], str]] = [
        ((metadata, file, splits), {}, InvalidRequest, "is not a Keras model"),
        ((splits, metadata, file), {}, InvalidRequest, "is not a Keras model"),
        ((file, splits, metadata), {}, DatasetError, "splits.csv: has no column"),
        ((file, file, splits), {}, DatasetError, "cannot be read as CSV"),
        ((tmp_path / "gone.keras", metadata, splits), {}, InvalidRequest, "no such file"),
        ((file, tmp_path / "gone.csv", splits), {}, DatasetError, "gone.csv: no such file"),
        ((file, metadata, tmp_path / "gone.csv"), {}, DatasetError, "gone.csv: no such file"),
        ((None, metadata, splits), {}, InvalidRequest, "model must be a path"),
        ((keras.Model(), metadata, splits), {}, InvalidRequest, "model must be a path"),
        ((file, metadata, splits), {"labels": "A,B"}, InvalidRequest, "the labels must be"),
        ((file, metadata, splits), {"labels": 7}, InvalidRequest, "the labels must be"),
        ((file, metadata, splits), {"scaling": 255}, InvalidRequest, "unknown scaling 255"),
        ((file, metadata, splits), {"scaling": None}, InvalidRequest, "state the scaling"),
        ((file, metadata, splits), {"min_sensitivity": 2.0}, InvalidRequest, "min_sensitivity"),
        ((file, metadata, splits), {"min_sensitivity": "a"}, InvalidRequest, "min_sensitivity"),
    ]
    for paths, changes, error, message in wrong:
        with pytest.raises(error, match=message) as caught:
            import_keras_model(*paths, tmp_path / "run", **{"scaling": "0-1"} | changes)
        assert "\n" not in str(caught.value)
        assert "--" not in str(caught.value)
        assert not (tmp_path / "run").exists()


def test_model_that_is_no_classifier_is_refused_without_a_folder(
    trained: Any, tmp_path: Path
) -> None:
    image = keras.Input((32, 32, 1))
    keras.Model(image, keras.layers.GlobalAveragePooling2D()(image)).save(tmp_path / "own.keras")
    with pytest.raises(ConversionError, match="a classifier must end in a Dense layer"):
        imported(tmp_path / "own.keras", trained, tmp_path / "run")
    assert not (tmp_path / "run").exists()
