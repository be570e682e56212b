"""What docs/serving.md and the systemd unit say is so."""

import configparser
import re
from pathlib import Path
from typing import Any

from cxr_edge.serving.app import MOST_BYTES_HELD, MOST_SECONDS, WAITING
from cxr_edge.serving.openapi import description
from cxr_edge.serving.server import LAST_SECONDS
from cxr_edge.serving.uploads import MOST_BYTES

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = (DOCS / "serving.md").read_text(encoding="utf-8")


def unit() -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(DOCS / "cxr-edge.service")
    return parser["Service"]


def test_options_of_the_page_and_of_the_unit_exist(cxr_edge: Any) -> None:
    known = set(re.findall(r"--[a-z][a-z-]+", cxr_edge("serve", "--help").out))
    table = PAGE.partition("| option |")[2].partition("## The API")[0]
    assert set(re.findall(r"--[a-z][a-z-]+", table)) == known - {"--help"}
    text = (DOCS / "cxr-edge.service").read_text()
    assert set(re.findall(r" (--[a-z-]+)", text)) <= known


def test_routes_and_limits_are_those_of_the_code() -> None:
    for path in description(token_needed=False)["paths"]:
        assert f"{path}`" in PAGE
    assert f"more than {MOST_BYTES // 1_000_000} MB" in PAGE
    assert f"bodies of {MOST_BYTES_HELD // 1_000_000} MB" in PAGE
    assert f"For each worker {WAITING} requests may wait" in PAGE
    assert MOST_SECONDS == 120
    assert "more than two minutes" in PAGE
    assert f"client_max_body_size {MOST_BYTES // 1_000_000}m;" in PAGE


def test_unit_gives_no_rights_and_lets_requests_be_finished() -> None:
    service = unit()
    assert service["DynamicUser"] == service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["MemoryMax"] == "460M"
    assert "--threads 2" in service["ExecStart"]
    assert int(service["TimeoutStopSec"]) > LAST_SECONDS > MOST_SECONDS


def test_pictures_are_there() -> None:
    for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", PAGE):
        assert (DOCS / picture).is_file()
