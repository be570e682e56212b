import errno
import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from cxr_edge_convert import verification
from cxr_edge_convert.bundling import output_folder as writing
from cxr_edge_convert.bundling.output_folder import check_output, write_all
from cxr_edge_convert.bundling.packaging import METADATA_KEY
from cxr_edge_convert.conversion import Variant, make_variants
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.report.rendering import render_again
from cxr_edge_convert.settings import ConversionSettings
from cxr_edge_convert.sources import Source
from cxr_edge_convert.variants import ONNX, TFLITE, wanted_schemes
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.device.inference_timing import Timing
from cxr_edge_runtime.engines import open_engine
from cxr_edge_runtime.errors import InvalidRequest, ReportError
from cxr_edge_train.runs import read_run

SETTINGS = ConversionSettings(
    tuple(wanted_schemes(formats=(TFLITE, ONNX), quantizations=("int8",), target="x86")),
    Limits(1.0, 1.0, 1.0, 0.0),
)


@pytest.fixture(scope="module")
def source(tiny_source: Source) -> Source:
    return tiny_source


@pytest.fixture(scope="module")
def variants(source: Source) -> list[Variant]:
    return make_variants(source, SETTINGS)


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring has its own test and takes seconds."""
    monkeypatch.setattr(
        writing,
        "measure",
        lambda folder, threads: [Timing(n, 10.0, 3.0, 1.0, 2.0, 2.5, 50.0) for n in threads],
    )


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_bundles_and_report_are_written(
    source: Source, variants: list[Variant], tmp_path: Path
) -> None:
    write_all(tmp_path / "out", source, SETTINGS, variants)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    names = set(files_below(tmp_path / "out"))
    bundle = {"bundle.json", "bundle.json.sha256", "MODEL_CARD.md"}
    for name, file in (("float32", "model.tflite"), ("onnx-int8-x86", "model.onnx")):
        assert {f"{name}/{part}" for part in (*bundle, file)} <= names
    report = {"report.html", "report.md", "report.csv", "report.json", "predictions.csv"}
    figures = {f"figures/{name}.png" for name in ("tradeoff-size", "tradeoff-latency", "shift")}
    assert report | figures | {"figures/tensor-errors.png"} <= names


def test_bundles_run_and_carry_what_was_frozen(
    source: Source, variants: list[Variant], trained: Any, tmp_path: Path
) -> None:
    write_all(tmp_path / "out", source, SETTINGS, variants)
    run = read_run(trained.run)
    for variant in variants:
        bundle = Bundle.load(tmp_path / "out" / variant.scheme.name)
        manifest = bundle.manifest
        assert manifest.name == f"tiny-{variant.scheme.name}-loose-limits"
        assert manifest.verification is not None
        assert manifest.verification.limits.agreement == SETTINGS.limits.min_agreement
        assert len(manifest.verification.looser) == 4
        has_default_session = manifest.verification.default_session is not None
        assert has_default_session == (variant.scheme.name == "onnx-int8-x86")
        point = run.operating_point
        assert (manifest.bias, manifest.prevalence) == (point.bias, point.prevalence)
        assert (manifest.threshold.value, manifest.temperature) == (
            run.operating_point.threshold, run.operating_point.temperature,
        )  # fmt: skip
        assert manifest.training.dataset_digest == run.dataset_digest
        assert manifest.outputs == ("cam", "logit", "embedding")
        assert manifest.calibration == variant.calibration
        logit = open_engine(bundle).run(source.validation_pixels[:1])["logit"][0, 0]
        assert logit == pytest.approx(variant.logits[0], abs=1e-6)


def test_onnx_files_hold_the_manifest_too(
    source: Source, variants: list[Variant], tmp_path: Path
) -> None:
    write_all(tmp_path / "out", source, SETTINGS, variants)
    bundle = Bundle.load(tmp_path / "out" / "onnx-int8-x86")
    [entry] = onnx.load_from_string(bundle.model).metadata_props
    assert entry.key == METADATA_KEY
    stated = json.loads(bundle.manifest.to_json()) | {"files": {}}
    assert json.loads(entry.value) == stated


def test_same_variants_give_the_same_bytes(
    source: Source, variants: list[Variant], tmp_path: Path
) -> None:
    for name in ("one", "other"):
        write_all(tmp_path / name, source, SETTINGS, variants)
    assert files_below(tmp_path / "one") == files_below(tmp_path / "other")


def test_what_falls_short_lies_under_rejected(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "MIN_POSITIVES", 10**6)
    settings = ConversionSettings(SETTINGS.schemes[:1], Limits())
    write_all(tmp_path / "out", source, settings, make_variants(source, settings))
    assert not (tmp_path / "out" / "float32").exists()
    assert Bundle.load(tmp_path / "out" / "rejected" / "float32").manifest.name == (
        "tiny-float32-rejected"
    )
    card = (tmp_path / "out" / "rejected" / "float32" / "MODEL_CARD.md").read_text()
    assert "None: it was rejected (recall cannot be checked" in card
    report = (tmp_path / "out" / "report.md").read_text()
    assert "No variant passed. Rejected: float32." in report
    assert "recall cannot be checked" in report


def test_refitted_operating_point_goes_into_the_bundle(source: Source, tmp_path: Path) -> None:
    settings = ConversionSettings(SETTINGS.schemes[:1], SETTINGS.limits, refit_sensitivity=0.8)
    [variant] = make_variants(source, settings)
    write_all(tmp_path / "out", source, settings, [variant])
    manifest = Bundle.load(tmp_path / "out" / "float32").manifest
    assert variant.refit is not None
    assert manifest.threshold.value == variant.refit.threshold
    assert manifest.threshold.rule.endswith("fitted to this variant")
    assert manifest.metrics["validation"] == variant.refit.metrics.by_name()
    assert variant.refit.metrics.sensitivity != variant.verification.metrics.sensitivity
    assert "Refitted operating points" in (tmp_path / "out" / "report.md").read_text()


def test_existing_output_is_refused_or_replaced_as_a_whole(
    source: Source, variants: list[Variant], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    write_all(output, source, SETTINGS, variants)
    with pytest.raises(InvalidRequest, match=r"already exists; name another folder, or replace"):
        check_output(output, overwrite=False)
    write_all(output, source, SETTINGS, variants[:1], overwrite=True)
    assert not (output / "int8").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_nothing_but_a_conversion_is_ever_overwritten(tmp_path: Path, kind: str) -> None:
    output = tmp_path / "mine"
    if kind == "folder":
        output.mkdir()
        (output / "thesis.txt").touch()
    else:
        output.touch()
    said = "is a file, not a folder" if kind == "file" else "is not a conversion"
    for overwrite in (True, False):
        with pytest.raises(InvalidRequest, match=said):
            check_output(output, overwrite=overwrite)


def test_conversion_with_other_things_in_it_is_not_overwritten(
    source: Source, variants: list[Variant], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    write_all(output, source, SETTINGS, variants[:1])
    check_output(output, overwrite=True, inputs=[tmp_path / "run"])
    with pytest.raises(InvalidRequest, match=r"contains .*model\.keras, which is an input"):
        check_output(output, overwrite=True, inputs=[output / "figures" / "model.keras"])
    (output / "thesis.txt").touch()
    with pytest.raises(
        InvalidRequest, match=r"contains thesis\.txt, which cxr-edge convert did not write"
    ):
        check_output(output, overwrite=True)
    (output / "thesis.txt").unlink()
    (output / "report.json").write_text("{}")
    with pytest.raises(InvalidRequest, match="is not a conversion"):
        check_output(output, overwrite=True)


@pytest.mark.parametrize("place", [".", "..", "new/../"])
def test_current_folder_is_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InvalidRequest, match="contains the current folder"):
        check_output(Path(place), overwrite=True)


def test_place_that_cannot_be_written_is_found_before_any_work() -> None:
    with pytest.raises(InvalidRequest, match="/proc"):
        check_output(Path("/proc/out"), overwrite=False)


def test_interruption_between_the_renames_puts_the_old_folder_back(
    source: Source, variants: list[Variant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    write_all(output, source, SETTINGS, variants[:1])
    before = files_below(tmp_path)
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        renamed = rename(self, target)
        if self == output:
            raise KeyboardInterrupt
        return renamed

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_all(output, source, SETTINGS, variants, overwrite=True)
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "disk is full")])
@pytest.mark.parametrize("step", ["package", "measure", "render"])
def test_interruption_or_full_disk_leaves_the_old_and_nothing_new(
    source: Source,
    variants: list[Variant],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    step: str,
) -> None:
    write_all(tmp_path / "out", source, SETTINGS, variants[:1])
    before = files_below(tmp_path)

    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(writing, step, fail)
    with pytest.raises(type(error)):
        write_all(tmp_path / "out", source, SETTINGS, variants, overwrite=True)
    assert files_below(tmp_path) == before
    with pytest.raises(type(error)):
        write_all(tmp_path / "other", source, SETTINGS, variants)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_rename_that_fails_puts_the_old_folder_back(
    source: Source, variants: list[Variant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    write_all(output, source, SETTINGS, variants[:1])
    before = files_below(tmp_path)
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if Path(target) == output and self.name != output.name:
            raise OSError(errno.EIO, "input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="input/output error"):
        write_all(output, source, SETTINGS, variants, overwrite=True)
    assert files_below(tmp_path) == before


def test_damaged_report_is_one_clear_error(
    source: Source, variants: list[Variant], tmp_path: Path
) -> None:
    write_all(tmp_path / "out", source, SETTINGS, variants[:1])
    report = tmp_path / "out" / "report.json"
    content = json.loads(report.read_text())
    for damaged in ({"schema_version": 4}, content | {"variants": [{}]}, content | {"keras": 1}):
        report.write_text(json.dumps(damaged))
        with pytest.raises(ReportError, match=r"its report is damaged \(.*\); convert again"):
            render_again(tmp_path / "out")
    report.write_text(json.dumps(content))
    (tmp_path / "out" / "predictions.csv").write_text("path\na\n")
    with pytest.raises(ReportError, match=r"its report is damaged \(.*\); convert again"):
        render_again(tmp_path / "out")


def test_report_is_written_again_from_what_is_there(
    source: Source, variants: list[Variant], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    write_all(output, source, SETTINGS, variants)
    before = files_below(output)
    for name in ("report.html", "report.md", "report.csv", "figures/shift.png"):
        (output / name).unlink()
    render_again(output)
    assert files_below(output) == before
