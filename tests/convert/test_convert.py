import json
import re
import shutil
from pathlib import Path
from typing import Any

import keras
import pytest

from cxr_edge_convert import verification
from cxr_edge_convert.convert import convert
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.report import render_again
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import Ages
from cxr_edge_runtime.errors import CxrEdgeError, InvalidRequest, RunError

LOOSE = Limits(1.0, 1.0, 1.0, 0.0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_report_that_is_returned_is_the_one_that_is_written_and_nothing_is_printed(
    trained: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    report = convert(
        str(trained.run),
        str(output),
        formats=("onnx",),
        float16=False,
        limits=LOOSE,
        refit=True,
        ages=(1, 5.5),
    )
    assert capfd.readouterr() == ("", "")
    assert [variant.name for variant in report.variants] == ["onnx-float32"]
    assert json.loads(json.dumps(report.as_dict())) == json.loads(
        (output / "report.json").read_text()
    )
    assert render_again(str(output)) == report
    [variant] = report.variants
    assert variant.refit is not None
    manifest = Bundle.load(output / variant.folder).manifest
    assert manifest.files["model.onnx"].sha256 == variant.sha256
    assert manifest.threshold.value == variant.refit.threshold
    assert manifest.ages == Ages(1.0, 5.5)
    assert manifest.one_level is not None


def test_missed_limit_is_a_result_not_an_error(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "MIN_POSITIVES", 10**6)
    report = convert(trained.run, tmp_path / "out", limits=LOOSE, dynamic=True)
    assert [variant.folder for variant in report.rejected] == [
        "rejected/float32", "rejected/dynamic",
    ]  # fmt: skip
    assert (tmp_path / "out" / "rejected" / "float32").is_dir()


def test_earlier_conversion_is_replaced_only_where_that_is_allowed(
    trained: Any, tmp_path: Path
) -> None:
    convert(trained.run, tmp_path / "out", limits=LOOSE)
    with pytest.raises(InvalidRequest, match="already exists; name another folder, or replace"):
        convert(trained.run, tmp_path / "out", limits=LOOSE)
    report = convert(trained.run, tmp_path / "out", limits=LOOSE, overwrite=True, formats=["onnx"])
    assert [variant.name for variant in report.variants] == ["onnx-float32"]
    assert not (tmp_path / "out" / "float32").exists()


def test_wrong_arguments_are_one_clear_error(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("")
    wrong: list[tuple[dict[str, Any], type[CxrEdgeError], str]] = [
        ({"run": tmp_path}, RunError, "no finished training run"),
        ({"run": None}, InvalidRequest, "run must be a path"),
        ({"output": 3}, InvalidRequest, "output must be a path"),
        ({"root": 3}, InvalidRequest, "root must be a path"),
        ({"not_films": 3}, InvalidRequest, "not_films must be a path"),
        ({"recipe": 3, "int8": True}, InvalidRequest, "recipe must be a path"),
        ({"calibration_dir": 3, "int8": True}, InvalidRequest, "calibration_dir must be a path"),
        ({"formats": ("pickle",)}, InvalidRequest, "the formats must be one or more of tflite"),
        ({"formats": "onnx"}, InvalidRequest, "the formats must be one or more of tflite"),
        ({"formats": 5}, InvalidRequest, "the formats must be one or more of tflite"),
        ({"limits": 0.01}, InvalidRequest, "the limits must be cxr_edge.Limits, not 0.01"),
        ({"seed": "a"}, InvalidRequest, "seed"),
        ({"min_sensitivity": "a", "refit": True}, InvalidRequest, "min_sensitivity"),
        ({"calibration_images": "a", "int8": True}, InvalidRequest, "must be a whole number"),
        ({"formats": ()}, InvalidRequest, "the formats must be one or more of tflite"),
        ({"target": "riscv"}, InvalidRequest, "unknown target 'riscv'; choose one of arm64, x86"),
        ({"formats": ("onnx",), "float16": True}, InvalidRequest, "variants of TFLite"),
        ({"formats": ("onnx",), "dynamic": True}, InvalidRequest, "variants of TFLite"),
        ({"accuracy_control": True}, InvalidRequest, "are for INT8"),
        ({"recipe": recipe}, InvalidRequest, "are for INT8"),
        ({"calibration_dir": tmp_path, "dynamic": True}, InvalidRequest, "are for INT8"),
        ({"int8": True, "calibration_images": 49}, InvalidRequest, "of at least 50, not 49"),
        ({"ages": "1-5"}, InvalidRequest, "ages must be the lowest and the highest age, not '1-5'"),
        ({"ages": (1,)}, InvalidRequest, "ages must be the lowest and the highest age"),
        ({"ages": (1, float("nan"))}, InvalidRequest, "an age must be a number from 0 to 150"),
        ({"ages": (-1, 5)}, InvalidRequest, "an age must be a number from 0 to 150, not -1"),
        ({"ages": (5, 1)}, InvalidRequest, "ages 5-1: the lower age must come first"),
        ({"not_films": tmp_path / "gone"}, InvalidRequest, "gone: no such folder"),
    ]
    for changes, error, message in wrong:
        arguments = {"run": trained.run, "output": tmp_path / "out"} | changes
        with pytest.raises(error, match=message) as caught:
            convert(**arguments)
        assert "\n" not in str(caught.value)
        assert "--" not in str(caught.value)
        assert not (tmp_path / "out").exists()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InvalidRequest, match="Keras uses jax, but conversion needs TensorFlow"):
        convert(trained.run, tmp_path / "out")


def test_output_that_holds_the_run_is_not_overwritten(trained: Any, tmp_path: Path) -> None:
    convert(trained.run, tmp_path / "out", limits=LOOSE)
    shutil.copytree(trained.run, tmp_path / "out" / "figures" / "run")
    with pytest.raises(InvalidRequest, match=r"contains .*run, which is an input"):
        convert(tmp_path / "out" / "figures" / "run", tmp_path / "out", overwrite=True)


@pytest.mark.parametrize("name", ["int8/notes.txt", "figures/notes.txt", "notes.txt"])
def test_conversion_with_a_file_of_somebody_else_anywhere_is_not_overwritten(
    trained: Any, tmp_path: Path, name: str
) -> None:
    output = tmp_path / "out"
    report = {"schema_version": 2, "variants": [{"folder": "int8"}, {"folder": "rejected/dynamic"}]}
    for written in (
        "report.json", "report.html", "int8/bundle.json", "int8/model.tflite", "figures/a.png",
        "rejected/dynamic/MODEL_CARD.md", name,
    ):  # fmt: skip
        (output / written).parent.mkdir(parents=True, exist_ok=True)
        (output / written).write_text(json.dumps(report))
    with pytest.raises(InvalidRequest, match=f"contains {re.escape(name)}, which"):
        convert(trained.run, output, limits=LOOSE, overwrite=True)
    (output / name).unlink()
    # One of an earlier version, whose report is read no more.
    convert(trained.run, output, limits=LOOSE, overwrite=True)
    assert Bundle.load(output / "float32")
