"""CITATION.cff says of the project what pyproject.toml says."""

import tomllib

import yaml

from cxr_edge_runtime.bundle.manifest import NOTICE
from scripts import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_version_licence_name_authors_and_keywords_are_the_projects() -> None:
    assert CITATION["version"] == PROJECT["version"]
    assert CITATION["license"] == PROJECT["license"]
    assert CITATION["title"] == PROJECT["name"]
    assert CITATION["authors"] == PROJECT["authors"]
    assert CITATION["keywords"] == PROJECT["keywords"]


def test_what_the_format_asks_for_is_there() -> None:
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    required = {"cff-version", "message", "title", "authors"}
    optional = {"type", "abstract", "version", "license", "keywords"}
    assert required <= set(CITATION) <= required | optional
    assert isinstance(CITATION["version"], str)


def test_abstract_says_what_it_is_not_for() -> None:
    assert CITATION["abstract"].endswith(NOTICE)
