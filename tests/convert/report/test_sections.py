from dataclasses import replace
from pathlib import Path

import pytest

from conversion_reports import conversion_report_of, variant_report
from cxr_edge_convert.conversion import Variant
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.quantization.accuracy_control import MixedPrecisionResult
from cxr_edge_convert.quantization.stability import Stability
from cxr_edge_convert.report.content import conversion_report
from cxr_edge_convert.report.sections import recommendation, report_sections
from cxr_edge_convert.settings import ConversionSettings
from cxr_edge_convert.sources import Source
from cxr_edge_convert.variants import Scheme
from cxr_edge_convert.verification import LostImages, verify
from cxr_edge_runtime.bundle.manifest import Calibration
from cxr_edge_runtime.device.inference_timing import Timing
from cxr_edge_train.reporting.markdown import markdown_page
from cxr_edge_train.reporting.page import Picture, Section, write_page
from verified_logits import FLOAT, reference

FLOAT32 = Variant(
    Scheme("float32", "tflite", "float32"),
    b"",
    FLOAT,
    None,
    verify(reference(), FLOAT, Limits(), same_computation=True),
)
INT8 = replace(
    FLOAT32,
    scheme=Scheme("int8", "tflite", "int8"),
    calibration=Calibration(300, "min-max", 0, "0123456789abcdef" * 4),
)
PICTURES = dict.fromkeys(
    ("size", "latency", "shift", "errors"), Picture(Path("picture.png"), "A picture.")
)
STABLE = Stability(250, 0.125, "net_1/block_3_1/Relu6", 0.0015, 2, "")


def quantization(
    source: Source, *variants: Variant, sizes: tuple[int, ...] = (), ms: tuple[float, ...] = ()
) -> Section:
    """The section on quantization of a report on float32 and these variants."""
    names = [variant.scheme.name for variant in (FLOAT32, *variants)]
    sizes, ms = ((*given, *[1] * len(names))[: len(names)] for given in ((1, *sizes), (1, *ms)))
    report = conversion_report(
        source,
        ConversionSettings((FLOAT32.scheme,), Limits()),
        (FLOAT32, *variants),
        files={name: (size, "0") for name, size in zip(names, sizes)},
        timings={
            name: [Timing(threads, 1.0, 1.0, p50, 9.0, 9.0, 9.0) for threads in (1, 2)]
            for name, p50 in zip(names, ms)
        },
    )
    sections = {
        section.title: section for section in report_sections(report, PICTURES, Path("nowhere"))
    }
    return sections["Quantization"]


def test_second_calibration_is_compared_in_words(tiny_source: Source) -> None:
    section = quantization(tiny_source, replace(INT8, stability=STABLE))
    assert section.paragraphs == [
        "The calibration set is the images from which the value ranges of an INT8 "
        "model were taken; "
        "its digest is a checksum of these images.",
        "int8: 300 images, ranges by min-max, seed 0, digest 0123456789ab. With 250 other images "
        "the AUC changes by +0.0015, with 2 changed predictions; the range that changes most, of "
        "block_3, changes by 12%.",
    ]
    assert section.alarm == ""


def test_calibration_that_decides_differently_raises_the_alarm(tiny_source: Source) -> None:
    unstable = replace(INT8, stability=replace(STABLE, warning="use more images"))
    assert quantization(tiny_source, unstable).alarm == "int8: use more images."


def test_calibration_that_none_was_compared_with_says_so(tiny_source: Source) -> None:
    [_, words] = quantization(tiny_source, INT8).paragraphs
    assert words.endswith("not enough images for a second calibration to compare with.")


def test_blocks_in_float_are_named_with_what_they_cost(tiny_source: Source) -> None:
    mixed = replace(
        INT8,
        scheme=replace(INT8.scheme, name="int8-mixed"),
        mixed_precision=MixedPrecisionResult(
            (("net_1/planted_1/conv", "net_1/relu/Relu"), ("net_1/undone/conv",)),
            ((2, 0.0, 1.0),),
        ),
    )
    section = quantization(
        tiny_source, replace(INT8, stability=STABLE), mixed, sizes=(5_000, 7_500), ms=(2.0, 1.75)
    )
    assert section.paragraphs[2].endswith(
        " Kept in float, worst first: planted, undone. Against int8 that costs +2,500 bytes and "
        "-0.25 ms, one thread."
    )
    assert "second calibration" not in section.paragraphs[2]


QUIET = (Timing(1, 1, 1, 4.0, 4.1, 4.2, 50), Timing(2, 1, 1, 2.0, 2.1, 2.2, 50))
SLOW = tuple(replace(timing, p50_ms=2.1 * timing.p50_ms, p95_ms=9.0) for timing in QUIET)


def test_first_line_is_for_somebody_who_knows_no_models() -> None:
    float32 = variant_report(
        "float32", quantization="float32", bytes=9_000_000, ratio_to_float32=1.0, timings=SLOW
    )
    int8 = variant_report("int8", bytes=2_700_000, ratio_to_float32=0.3, timings=QUIET)
    lost = replace(int8.verification, recall_lost=LostImages(1, 788, 1.0))
    report = conversion_report_of(float32, replace(int8, verification=lost))
    assert recommendation(report) == (
        "int8: 3.3x smaller than float32, 2.1x faster, loses 1 of 788 PNEUMONIA films on "
        "balance; recommended."
    )
    assert report_sections(report, PICTURES, Path("nowhere"))[0].lead == (recommendation(report))


def test_first_line_counts_normals_too_and_recommends_no_looser_limits() -> None:
    int8 = variant_report("int8")
    lost = replace(
        int8.verification,
        recall_lost=LostImages(-7, 150, 1.0),
        specificity_lost=LostImages(35, 50, 1.0),
    )
    report = conversion_report_of(replace(int8, verification=lost))
    words = (
        "finds 7 more of 150 PNEUMONIA films, labels 35 more of 50 NORMAL films PNEUMONIA; recom"
    )
    assert words in recommendation(report)
    loose = replace(report, limits=Limits(max_recall_drop=0.5))
    assert "looser than the defaults, so not recommended" in recommendation(loose)


@pytest.mark.parametrize("name", ["sensitivity", "specificity"])
def test_model_that_gives_one_label_to_everything_is_not_recommended(name: str) -> None:
    int8 = variant_report("int8")
    metrics = int8.verification.metrics
    nothing = replace(metrics, **{name: replace(getattr(metrics, name), value=0.0)})
    all_alike = replace(int8, verification=replace(int8.verification, metrics=nothing))
    assert conversion_report_of(all_alike).recommended is None


def test_times_beside_other_work_recommend_nothing() -> None:
    busy = (replace(QUIET[0], p95_ms=40.0), QUIET[1])
    float32 = variant_report("float32", quantization="float32", bytes=9_000_000, timings=SLOW)
    report = conversion_report_of(float32, variant_report("int8", timings=busy))
    assert "faster" not in recommendation(report)


def test_what_was_rejected_is_not_recommended() -> None:
    rejected = variant_report("int8", bytes=1, passed=False)
    passed = variant_report("dynamic", quantization="dynamic", bytes=2)
    report = conversion_report_of(rejected, passed)
    assert report.recommended == passed
    assert conversion_report_of(rejected).recommended is None
    assert recommendation(conversion_report_of(rejected)) == ""


def test_variant_with_blocks_in_float_replaces_the_one_that_missed_a_limit() -> None:
    rejected = variant_report("int8", passed=False)
    other = variant_report("dynamic", quantization="dynamic", passed=False)
    mixed = variant_report("int8-mixed", bytes=3_000_000)
    assert conversion_report_of(rejected, mixed).missed == ()
    assert conversion_report_of(rejected, mixed, other).missed == (other,)
    assert conversion_report_of(rejected, replace(mixed, passed=False)).missed == (
        rejected, replace(mixed, passed=False),
    )  # fmt: skip


def test_limits_looser_than_the_defaults_and_warnings_are_in_the_verdict() -> None:
    report = replace(
        conversion_report_of(variant_report("int8", warnings=("the temperature is odd",))),
        limits=Limits(max_recall_drop=0.5),
    )
    text = " ".join(report_sections(report, PICTURES, Path("nowhere"))[0].paragraphs)
    assert "looser than the defaults: recall may drop by 0.5 (default 0.01)" in text
    assert "Warning, int8: the temperature is odd." in text


def test_what_to_use_comes_before_what_was_rejected(tmp_path: Path) -> None:
    rejected = variant_report("dynamic", shift=5.0, quantization="dynamic")
    verdict = report_sections(
        conversion_report_of(variant_report("int8"), rejected), PICTURES, Path("nowhere")
    )[0]
    write_page(tmp_path / "page.html", title="T", notice="N", sections=[verdict])
    for text in (
        (tmp_path / "page.html").read_text(),
        markdown_page("T", "N", [verdict], tmp_path),
    ):
        assert text.count("recommended.") == 1
        assert text.index("recommended.") < text.index("dynamic: specificity fell by 1.000")
