"""docs/conversion-report.md names every field that a conversion writes."""

import re
from pathlib import Path
from typing import Any

from cxr_edge_convert.conversion import make_variants
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.report.content import report_content
from cxr_edge_convert.report.storage import REPORT_SCHEMA_VERSION
from cxr_edge_convert.settings import Settings
from cxr_edge_convert.sources import Source
from cxr_edge_convert.variants import TFLITE, wanted_schemes
from cxr_edge_runtime.device.inference_timing import Timing

PAGE = Path(__file__).parents[2] / "docs" / "conversion-report.md"
# Names that come from elsewhere: metrics, versions of packages, the fields of an interval.
_NOT_FIELDS = ("metrics", "versions", "preprocess")


def fields(content: Any) -> set[str]:
    if isinstance(content, list):
        return set().union(*map(fields, content)) if content else set()
    if not isinstance(content, dict):
        return set()
    found = set(content)
    for name, value in content.items():
        if name not in _NOT_FIELDS:
            found |= fields(value)
    return found


def test_every_field_is_described(tiny_source: Source) -> None:
    settings = Settings(
        tuple(wanted_schemes(formats=(TFLITE,), quantizations=("int8",), target="x86")),
        Limits(min_agreement=1.0),
        accuracy_control=True,
        refit_sensitivity=0.9,
    )
    variants = make_variants(tiny_source, settings)
    names = [variant.scheme.name for variant in variants]
    content = report_content(
        tiny_source,
        settings,
        variants,
        files=dict.fromkeys(names, (1, "0")),
        timings={name: [Timing(1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)] for name in names},
    )
    text = PAGE.read_text(encoding="utf-8")
    described = set(re.findall(r"`([a-z_0-9]+)`", text))
    assert fields(content) - described == set()
    assert f"`schema_version` is {REPORT_SCHEMA_VERSION};" in text
