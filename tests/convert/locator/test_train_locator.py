import doctest
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pytest
from filelock import FileLock

import cxr_edge
from cxr_edge_convert.locator import train_locator as module
from cxr_edge_runtime.errors import DatasetError, InvalidRequest, LimitMissed
from cxr_edge_train.fitting.events import FitStart, RunStart
from cxr_edge_train.locator.fit import SETTINGS
from cxr_edge_train.locator_folder import read_locator
from cxr_edge_train.runs import read_history
from locators import OutlinedData, blind_network, lung_film, small_network

SHORT = replace(SETTINGS, batch_size=50, epochs=1)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two steps of a network that finds the lungs from the start."""
    monkeypatch.setattr(module, "build_locator", small_network)
    monkeypatch.setattr(module, "SETTINGS", SHORT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def train(outlined: OutlinedData, **arguments: Any) -> Any:
    given = {"splits": outlined.splits, "masks": outlined.masks, "weights": None} | arguments
    return cxr_edge.train_locator(outlined.metadata, **given)


def test_example_of_the_docstring(
    outlined: OutlinedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(outlined.root, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    [example] = doctest.DocTestFinder().find(module.train_locator, globs={})
    said: list[str] = []
    assert doctest.DocTestRunner().run(example, out=said.append).attempted == 4
    assert not said, "".join(said)


def test_folder_holds_the_network_both_models_and_what_was_measured(
    outlined: OutlinedData, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    masks = Path(shutil.copytree(outlined.masks, tmp_path / "masks"))
    without = min((masks / "PNEUMONIA").iterdir())
    without.unlink()
    starts: list[RunStart] = []
    fits: list[FitStart] = []

    def callbacks(fit: FitStart) -> tuple[()]:
        fits.append(fit)
        return ()

    locator = train(outlined, masks=masks, seed=3, on_start=starts.append, callbacks=callbacks)
    folder = tmp_path / "cache" / "cxr-edge" / "runs" / "lung-locator-001"
    assert locator == read_locator(folder)
    assert starts == [RunStart("lung-locator", folder, "cpu:0, float32")]
    assert fits == [FitStart(folder, SHORT)]
    assert sorted(file.name for file in folder.iterdir()) == [
        "history.csv", "locator.json", "locator.keras", "locator.onnx", "locator.tflite",
    ]  # fmt: skip
    record = locator.record
    assert (record.films, record.without_mask) == ({"train": 99, "validation": 20}, 1)
    assert (record.weights, record.weights_sha256, record.seed) == ("none", "", 3)
    for metrics in record.metrics.values():
        assert metrics.dice > 0.9
        assert (metrics.not_found.value, metrics.covered.value) == (0.0, 1.0)
    for name, check in record.checks.items():
        assert record.files[name].bytes == (folder / name).stat().st_size
        assert check.largest_difference < 1e-3
    assert record.seconds == pytest.approx(
        read_history(folder, measured="val_dice")["seconds"].sum(), abs=0.06
    )
    kernel = keras.models.load_model(folder / "locator.keras", compile=False).get_weights()[0]
    assert kernel.shape == (1, 1, 1, 1)
    assert locator.locator("onnx").lungs(lung_film(0)[0]) is not None
    assert capfd.readouterr().out == ""
    with pytest.raises(InvalidRequest, match="holds a finished"):
        train(outlined, output=folder)


def test_locator_that_misses_lungs_is_refused_and_its_folder_not_finished(
    outlined: OutlinedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "build_locator", lambda weights: blind_network())
    output = tmp_path / "locator"
    for _ in range(2):  # the second time nothing is left to train
        with pytest.raises(LimitMissed, match=r"in only 0\.0% of 10 validation pneumonias"):
            train(outlined, output=output)
    assert not (output / "locator.json").exists()
    assert len(read_history(output, measured="val_dice")) == 1
    with pytest.raises(InvalidRequest, match=r"different settings \(seed "):
        train(outlined, output=output, seed=1)
    masks = Path(shutil.copytree(outlined.masks, tmp_path / "masks"))
    shutil.copy(masks / "NORMAL" / "IM-0001-0001.png", masks / "NORMAL" / "IM-0002-0001.png")
    with pytest.raises(InvalidRequest, match=r"different settings \(dataset_digest\)"):
        train(outlined, output=output, masks=masks)


def test_locator_that_was_killed_before_it_tidied_up_is_not_made_again(
    outlined: OutlinedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    output = tmp_path / "locator"
    with monkeypatch.context() as patch:
        patch.setattr(module, "discard", killed)
        with pytest.raises(KeyboardInterrupt):
            train(outlined, output=output)
    record = (output / "locator.json").read_bytes()
    monkeypatch.setattr(module, "fit_locator", None)
    assert train(outlined, output=output).folder == output
    assert (output / "locator.json").read_bytes() == record
    assert not (output / "unfinished.json").exists()


def test_only_one_process_trains_in_a_folder(outlined: OutlinedData, tmp_path: Path) -> None:
    output = tmp_path / "locator"
    output.mkdir()
    with (
        FileLock(output / ".lock"),
        pytest.raises(InvalidRequest, match="another process is training into this folder"),
    ):
        train(outlined, output=output)


def test_folder_with_something_else_is_refused_before_anything_is_read(
    outlined: OutlinedData, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InvalidRequest, match=r"contains (cache|notes\.txt)"):
        train(outlined, output=tmp_path, masks="nowhere")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"masks": "nowhere"}, DatasetError),
        ({"masks": 7}, InvalidRequest),
        ({"seed": -1}, InvalidRequest),
        ({"progress": 7}, InvalidRequest),
    ],
)
def test_wrong_arguments_are_refused(
    outlined: OutlinedData, arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        train(outlined, **arguments)


def test_weights_that_are_not_there_are_refused(
    outlined: OutlinedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cxr_edge_train.locator.network import build_locator

    monkeypatch.setattr(module, "build_locator", build_locator)
    with pytest.raises(InvalidRequest, match="weights"):
        train(outlined, weights=tmp_path / "none.h5", output=tmp_path / "locator")
    assert not (tmp_path / "locator").exists()


def test_other_backends_are_refused_in_one_line(
    outlined: OutlinedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InvalidRequest, match="Keras uses jax, but conversion needs TensorFlow"):
        train(outlined)
