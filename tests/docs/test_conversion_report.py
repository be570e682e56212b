"""docs/conversion-report.md names every field that a conversion writes."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from conversion_reports import conversion_report_of, variant_report
from cxr_edge_convert.conversion import make_variants
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.report.content import conversion_report
from cxr_edge_convert.report.conversion_report import REPORT_SCHEMA_VERSION, ConversionReport
from cxr_edge_convert.settings import ConversionSettings
from cxr_edge_convert.sources import Source
from cxr_edge_convert.variants import TFLITE, wanted_schemes
from cxr_edge_runtime.device.inference_timing import Timing
from cxr_edge_runtime.typed_json import TypedJsonError

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = jsonschema_rs.Draft202012Validator(
    json.loads((DOCS / "reference" / "report.schema.json").read_text(encoding="utf-8"))
)
PAGE = DOCS / "conversion-report.md"
# Names that come from elsewhere: metrics, versions of packages, categories of images.
_NOT_FIELDS = ("metrics", "versions", "preprocess", "non_films")


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
    settings = ConversionSettings(
        tuple(wanted_schemes(formats=(TFLITE,), quantizations=("int8",), target="x86")),
        Limits(min_agreement=1.0),
        accuracy_control=True,
        refit_sensitivity=0.9,
    )
    variants = make_variants(tiny_source, settings)
    names = [variant.scheme.name for variant in variants]
    report = conversion_report(
        tiny_source,
        settings,
        variants,
        files=dict.fromkeys(names, (1, "0")),
        timings={name: [Timing(n, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0) for n in (1, 2)] for name in names},
    )
    content = json.loads(json.dumps(report.as_dict()))
    text = PAGE.read_text(encoding="utf-8")
    described = set(re.findall(r"`([a-z_0-9]+)`", text))
    assert fields(content) - described == set()
    assert f"`schema_version` is {REPORT_SCHEMA_VERSION};" in text
    SCHEMA.validate(content)


def test_schema_refuses_what_the_reader_refuses() -> None:
    content = json.loads(json.dumps(conversion_report_of(variant_report("int8")).as_dict()))
    SCHEMA.validate(content)
    del content["variants"][0]["gate"], content["source"]["locator"]
    SCHEMA.validate(content)
    assert ConversionReport.from_dict(copy.deepcopy(content)).source.locator is None
    for key, value in (("format", "pickle"), ("timings", []), ("bytes", "many"), ("extra", 1)):
        variant = content["variants"][0] | {key: value}
        wrong = content | {"variants": [variant]}
        assert not SCHEMA.is_valid(wrong)
        with pytest.raises(TypedJsonError):
            ConversionReport.from_dict(wrong)
