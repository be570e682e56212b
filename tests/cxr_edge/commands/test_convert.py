import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from changed_runs import write_dataset
from cxr_edge.bundles.lookup import load_bundle
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import NOTICE

LOOSE = [
    "--max-recall-drop", 1, "--max-specificity-drop", 1, "--max-auc-drop", 1, "--min-agreement", 0,
]  # fmt: skip


def test_all_formats_and_schemes_are_written_and_explained(
    cxr_edge: Any, trained: Any, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    arguments = ["convert", trained.run, "-o", output, "--all", "--format", "both", *LOOSE]
    outcome = cxr_edge(*arguments, "--target", "x86", "--refit")
    assert outcome.code == 0, outcome.err
    names = ["float32", "float16", "dynamic", "int8", "onnx-float32", "onnx-int8-x86"]
    rows = [line.split() for line in outcome.out.splitlines()[1:13]]
    assert [row[0] for row in rows[::2]] == names
    assert [row[0] for row in rows[1::2]] == ["refitted"] * 6
    for name, size, *_ in rows[::2]:
        manifest = Bundle.load(output / name).manifest
        assert manifest.files[manifest.model.file].bytes == int(size)
    assert outcome.out.count("  passed\n") == 6
    assert NOTICE in outcome.out
    assert all((output / name / "bundle.json").is_file() for name in names)
    page = (output / "report.html").read_text()
    assert NOTICE in page
    # With the colon: four letters alone turn up in embedded images.
    assert "://" not in page.replace("http://www.w3.org", "")

    image = next((trained.root / "data" / "test" / "NORMAL").iterdir())
    labels = {
        json.loads(cxr_edge("classify", "--json", image, "--bundle", output / name).out)["label"]
        for name in names
    }
    assert len(labels) == 1

    before = (output / "report.md").read_text()
    (output / "report.md").unlink()
    outcome = cxr_edge("report", output)
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[0] == f"Passed: {', '.join(names)}."
    assert (output / "report.md").read_text() == before

    outcome = cxr_edge(*arguments[:4], *LOOSE)
    assert outcome.code == 2
    assert "already exists" in outcome.err
    assert cxr_edge(*arguments[:4], *LOOSE, "--overwrite").code == 0
    assert not (output / "int8").exists()


def test_falling_short_is_exit_4_with_the_report_written(
    cxr_edge: Any, trained: Any, tmp_path: Path
) -> None:
    recipe = tmp_path / "coarse.toml"
    recipe.write_text('[calibration]\nmethod = "percentile"\npercentile = 90.0\n')
    outcome = cxr_edge(
        "convert", trained.run, "-o", tmp_path / "out", "--int8", "--recipe", recipe,
        "--min-agreement", 1,
    )  # fmt: skip
    assert outcome.code == 4
    assert "of the predictions agree, limit 1: " in outcome.err
    assert f"See {tmp_path / 'out' / 'rejected'}" in outcome.err
    manifest = Bundle.load(tmp_path / "out" / "rejected" / "int8").manifest
    assert manifest.calibration is not None
    images = manifest.calibration.count
    said = f"percentile 90 over {images} training images, "
    assert manifest.calibration.method.startswith(said)
    assert "Rejected: int8" in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'RUN'"),
        (["run", "--format", "onnx", "--float16"], "float16 and dynamic are variants of TFLite"),
        (["run", "--int8", "--recipe", "gone.toml"], "gone.toml: no such recipe"),
        (["run", "--recipe", "r.toml"], "no such recipe"),
        (["run", "--calibration-dir", "films"], "are for INT8, which was not requested"),
        (["run", "--accuracy-control"], "are for INT8, which was not requested"),
        (["run", "--min-agreement", "nan"], "min_agreement must be a number"),
        (["run", "--ages", "5"], "--ages 5: give two ages in years, such as 1-5"),
        (["run", "--ages", "1--5"], "--ages 1--5: give two ages in years"),
        (["run", "--ages", "5-1"], "ages 5-1: the lower age must come first"),
        (["gone"], "gone: no such folder"),
        (["gone", "--calibration-images", "49"], "--calibration-images"),
        (["gone", "--format", "pickle"], "--format"),
    ],
)
def test_wrong_usage_is_one_clear_line(
    cxr_edge: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    outcome = cxr_edge("convert", *arguments, "-o", tmp_path / "out")
    assert outcome.code in (1, 2)
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model", "own.keras", "--metadata", "m.csv", "--splits", "s.csv", "-o", "out"],
        ["run", "--labels", "NORMAL,PNEUMONIA", "-o", "out"],
        ["--scaling", "0-1"],
        ["--model", "own.keras", "--format", "pickle"],
    ],
)
def test_model_made_elsewhere_is_answered_with_the_import_to_run(
    cxr_edge: Any, arguments: list[str]
) -> None:
    outcome = cxr_edge("convert", *arguments)
    assert outcome.code == 2
    [line] = outcome.err.splitlines()
    assert "is imported once: cxr-edge import MODEL.keras --metadata" in line


def test_options_of_earlier_versions_are_not_in_the_help(cxr_edge: Any) -> None:
    assert "--model" not in cxr_edge("convert", "--help").out


def test_too_few_calibration_images_are_refused_before_anything_is_written(
    cxr_edge: Any, trained: Any, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained.run, tmp_path / "run"))
    table = pd.read_csv(run / "dataset.csv", keep_default_na=False)
    dropped = (table["split"] == "train") & (table["label"] == "PNEUMONIA")
    write_dataset(run, table[~dropped])
    outcome = cxr_edge("convert", run, "-o", tmp_path / "out", "--int8")
    assert outcome.code == 2
    assert "calibration needs images of both labels; there are only NORMAL" in outcome.err
    assert not (tmp_path / "out").exists()


def test_report_of_no_conversion_is_refused(cxr_edge: Any, tmp_path: Path) -> None:
    outcome = cxr_edge("report", tmp_path)
    assert outcome.code == 1
    assert "contains no conversion (report.json is missing)" in outcome.err


def test_info_of_the_shipped_bundle(cxr_edge: Any) -> None:
    outcome = cxr_edge("info")
    assert outcome.code == 0
    assert outcome.out.startswith("mobilenetv2-int8 ")
    assert "model      tflite, int8, 2,727,504 bytes, 128x128 grey" in outcome.out
    measured = load_bundle(None).manifest.metrics["test"]["specificity"].value
    assert f"measured   test: specificity {measured:.3f}" in outcome.out
    assert "missing" not in outcome.out
    assert "no heat map" not in outcome.out
    assert NOTICE in outcome.out
    assert cxr_edge("info", "gone").code == 1
