"""The files that a contributor meets first: forms for issues, CONTRIBUTING.md, SECURITY.md."""

import re
import tomllib
from typing import Any

import pytest
import yaml

from cxr_edge.command_table import COMMANDS
from scripts import ROOT

FORMS = ROOT / ".github" / "ISSUE_TEMPLATE"
NAMES = ("bug", "feature", "wrong-answer")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def form(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((FORMS / f"{name}.yml").read_text(encoding="utf-8"))
    return content


def test_there_are_three_forms_and_no_empty_one() -> None:
    assert {path.name for path in FORMS.iterdir()} == {
        "config.yml",
        *(f"{name}.yml" for name in NAMES),
    }
    assert form("config") == {"blank_issues_enabled": False}


@pytest.mark.parametrize("name", NAMES)
def test_form_has_what_the_hosting_site_asks_for(name: str) -> None:
    content = form(name)
    assert set(content) == {"name", "description", "labels", "body"}
    fields = [part for part in content["body"] if part["type"] != "markdown"]
    ids = [part["id"] for part in fields]
    assert len(set(ids)) == len(ids) > 2
    for part in content["body"]:
        assert part["type"] in ("markdown", "textarea", "input", "checkboxes")
        known = {"type", "id", "attributes", "validations"}
        assert set(part) <= known
        if part["type"] != "markdown":
            assert part["attributes"]["label"]
        assert set(part.get("validations", {})) <= {"required"}


@pytest.mark.parametrize("name", NAMES)
def test_form_asks_to_leave_patients_out(name: str) -> None:
    [box] = [part for part in form(name)["body"] if part["type"] == "checkboxes"]
    [option] = box["attributes"]["options"]
    assert option["required"] is True
    assert "no patient's film" in option["label"]


def test_wrong_answer_warns_first_and_asks_for_three_commands() -> None:
    first, *fields = form("wrong-answer")["body"]
    assert "Attach no patient's film, and write no patient's name" in first["attributes"]["value"]
    asked = {
        part["attributes"]["label"]
        for part in fields
        if part.get("validations", {}).get("required")
    }
    for command in ("--version", "info", "selftest"):
        assert f"What does cxr-edge {command} print?" in asked


def test_every_file_that_contributing_names_is_there() -> None:
    named = re.findall(r"`((?:runtime|train|convert|cxr_edge|tests|docs|data|benchmarks)/[^`*]*)`",
                       CONTRIBUTING)  # fmt: skip
    assert len(named) > 20
    absent = [path for path in named if "NAME" not in path and not (ROOT / path).exists()]
    assert absent == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("train/cxr_edge_train/architectures/__init__.py", ("ARCHITECTURES",)),
        ("train/cxr_edge_train/architectures/backbone.py", ("BACKBONE", "Architecture")),
        ("train/cxr_edge_train/architectures/pretrained.py", ("from_keras",)),
        (
            "runtime/cxr_edge_runtime/engines/__init__.py",
            ("ENGINES", "EngineSpec"),
        ),
        (
            "runtime/cxr_edge_runtime/engines/interface.py",
            ("Engine", "check_names", "check_input"),
        ),
        ("runtime/cxr_edge_runtime/bundle/manifest.py", ("CONTRACT_INPUTS",)),
        ("cxr_edge/commands/convert.py", ("Format",)),
        ("train/cxr_edge_train/cleaning/checks/check.py", ("Check",)),
        ("train/cxr_edge_train/cleaning/checks/registry.py", ("CHECKS", "EXCLUSIONS")),
        ("tests/support/synthetic.py", ("scanned_file",)),
        ("tests/conftest.py", ("trained",)),
    ],
)
def test_every_name_that_contributing_gives_is_in_its_file(
    path: str, words: tuple[str, ...]
) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    for word in words:
        assert f"`{word}`" in CONTRIBUTING
        assert re.search(rf"^(?:class |def |){word}\b", source, re.MULTILINE), word


def test_set_up_and_gates_are_those_of_the_project() -> None:
    assert "pip install -c constraints.txt -e '.[dev]'" in CONTRIBUTING
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports"):
        assert tool in CONTRIBUTING
        assert tool.split()[0] in gate
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    classified = re.findall(r"Python :: (3\.\d+)", str(project["classifiers"]))
    classified.remove("3.14")  # which has no TensorFlow, so that nothing is developed there
    assert f"{', '.join(classified[:-1])} or {classified[-1]}" in CONTRIBUTING


def test_security_names_commands_that_exist_and_a_private_way() -> None:
    named = set(re.findall(r"\| `([a-z]+)` \|", SECURITY))
    assert named >= {"install", "serve", "score"}
    assert named <= set(COMMANDS)
    assert "private vulnerability reports" in SECURITY
    assert "@" not in SECURITY


@pytest.mark.parametrize("text", [CONTRIBUTING, SECURITY])
def test_links_lead_somewhere(text: str) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / link).exists(), link


def test_actions_are_pinned_or_security_says_that_they_are_not() -> None:
    used = [
        action.split("@")
        for file in (ROOT / ".github" / "workflows").iterdir()
        for action in re.findall(r"uses: (\S+)", file.read_text(encoding="utf-8"))
    ]
    assert used
    by_tag = {name for name, version in used if not re.fullmatch("[0-9a-f]{40}", version)}
    assert by_tag == set(re.findall(r"`(actions/[^`]+)`", SECURITY))
