from dataclasses import replace
from pathlib import Path

from cxr_edge_convert.conversion import Variant
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.quantization.accuracy_control import MixedPrecisionResult
from cxr_edge_convert.quantization.stability import Stability
from cxr_edge_convert.report.content import conversion_report
from cxr_edge_convert.report.sections import report_sections
from cxr_edge_convert.settings import ConversionSettings
from cxr_edge_convert.sources import Source
from cxr_edge_convert.variants import Scheme
from cxr_edge_convert.verification import verify
from cxr_edge_runtime.bundle.manifest import Calibration
from cxr_edge_runtime.device.inference_timing import Timing
from cxr_edge_train.reporting.page import Picture, Section
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
    calibration=Calibration(300, "min-max", 0, "0123456789abcdef"),
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
    picture = Picture(Path("picture.png"), "A picture.")
    pictures = dict.fromkeys(("size", "latency", "shift", "errors"), picture)
    sections = {
        section.title: section for section in report_sections(report, pictures, Path("nowhere"))
    }
    return sections["Quantization"]


def test_second_calibration_is_compared_in_words(tiny_source: Source) -> None:
    section = quantization(tiny_source, replace(INT8, stability=STABLE))
    assert section.paragraphs == [
        "int8: 300 images, ranges by min-max, seed 0, digest 0123456789ab. With 250 other images "
        "the AUC changes by +0.0015 and 2 predictions change; the range that changes most, of "
        "block_3, changes by 12%."
    ]
    assert section.alarm == ""


def test_calibration_that_decides_differently_raises_the_alarm(tiny_source: Source) -> None:
    unstable = replace(INT8, stability=replace(STABLE, warning="use more images"))
    assert quantization(tiny_source, unstable).alarm == "int8: use more images."


def test_calibration_that_none_was_compared_with_says_so(tiny_source: Source) -> None:
    [words] = quantization(tiny_source, INT8).paragraphs
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
    assert section.paragraphs[1].endswith(
        " Kept in float, worst first: planted, undone. Against int8 that costs +2,500 bytes and "
        "-0.25 ms, one thread."
    )
    assert "second calibration" not in section.paragraphs[1]
