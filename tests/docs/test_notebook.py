"""docs/notebooks/road.ipynb as it is stored; .ci/full runs it."""

import ast
import re
import shlex
from typing import Any

import nbformat
import pytest
import typer

from cxr_edge.cli import _app
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_train.recipe import parse_recipe
from scripts import ROOT

FOLDER = ROOT / "docs" / "notebooks"
NOTEBOOK: Any = nbformat.read(FOLDER / "road.ipynb", as_version=nbformat.NO_CONVERT)
CODE = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]
TEXT = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")


def calls(name: str) -> list[ast.Call]:
    """Where the cells call a function of that name; so they are all plain Python, too."""
    trees = [ast.parse(cell.source) for cell in CODE]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [node for node in nodes if getattr(node.func, "attr", ast.unparse(node.func)) == name]


LINES = [ast.literal_eval(call.args[0]) for call in calls("run")]
COMMANDS = [line for line in LINES if line.startswith("cxr-edge ")]


def test_notebook_is_valid_and_its_cells_have_ids_that_stay() -> None:
    nbformat.validate(NOTEBOOK)
    names = [cell.id for cell in NOTEBOOK.cells]
    assert len(set(names)) == len(names)
    # A program that saves the notebook gives new cells ids of eight random hexadecimal digits.
    assert [name for name in names if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name)] == []


def test_no_output_and_nothing_of_a_machine_is_stored() -> None:
    for cell in CODE:
        assert cell.outputs == []
        assert cell.execution_count is None
    assert [cell.id for cell in NOTEBOOK.cells if cell.metadata] == []
    assert set(NOTEBOOK.metadata) == {"kernelspec", "language_info"}
    assert NOTEBOOK.metadata.kernelspec.name == "python3"
    assert dict(NOTEBOOK.metadata.language_info) == {"name": "python"}


def test_notebook_says_what_phantoms_are_not_for() -> None:
    assert NOTICE in TEXT
    assert "They teach nothing about patients" in TEXT


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_can_be_typed_so(line: str) -> None:
    _, name, *words = shlex.split(line)
    group = typer.main.get_command(_app([name]))
    command = group.get_command(None, name)  # type: ignore[attr-defined,arg-type]
    assert command is not None
    command.make_context(name, words)  # raises where an option or a value does not exist


def test_the_whole_road_is_walked() -> None:
    walked = [line.split()[1] for line in COMMANDS]
    assert walked == [
        "clean", "split", "eda", "train", "evaluate", "convert", "classify", "classify", "pack",
        "verify",
    ]  # fmt: skip
    assert "python make_phantoms.py --dataset phantoms" in LINES
    assert not any("--split test" in line for line in LINES)


def test_its_recipe_can_be_read() -> None:
    [text] = [
        ast.literal_eval(call.args[0])
        for call in calls("write_text")
        if "[fit]" in ast.unparse(call)
    ]
    assert parse_recipe(text).fit.epochs <= 12


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert len(links) >= 5
    for link in links:
        assert (FOLDER / link).exists(), link
