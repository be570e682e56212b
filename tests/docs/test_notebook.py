"""docs/notebooks/pipeline.ipynb as it is stored; .ci/full runs it."""

import ast
import json
import re
from typing import Any

import nbformat
import pytest

from api_calls import api_calls, check_call
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_train.recipe import parse_recipe
from scripts import ROOT

PNG = "image/png"
FOLDER = ROOT / "docs" / "notebooks"
NOTEBOOK: Any = nbformat.read(FOLDER / "pipeline.ipynb", as_version=nbformat.NO_CONVERT)
CODE = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]
TEXT = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")


def calls(name: str) -> list[ast.Call]:
    """Where the cells call a function of that name; so they are all plain Python, too."""
    trees = [ast.parse(cell.source) for cell in CODE]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [node for node in nodes if getattr(node.func, "attr", ast.unparse(node.func)) == name]


SOURCE = "\n".join(cell.source for cell in CODE)
API_CALLS = api_calls(SOURCE)


def test_notebook_is_valid_and_its_cells_have_ids_that_stay() -> None:
    nbformat.validate(NOTEBOOK)
    names = [cell.id for cell in NOTEBOOK.cells]
    assert len(set(names)) == len(names)
    # A program that saves the notebook gives new cells ids of eight random hexadecimal digits.
    assert [name for name in names if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name)] == []


def test_outputs_are_stored_and_nothing_of_a_machine() -> None:
    assert sum(bool(cell.outputs) for cell in CODE) >= 12
    for cell in CODE:
        assert cell.execution_count is None
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr"
            shown = json.dumps(
                [output.get("text"), *(v for k, v in output.get("data", {}).items() if k != PNG)]
            )
            assert not re.search(r"/(root|home|Users|tmp)/", shown)
    assert (FOLDER / "pipeline.ipynb").stat().st_size < 1_500_000
    assert [cell.id for cell in NOTEBOOK.cells if cell.metadata] == []
    assert set(NOTEBOOK.metadata) == {"kernelspec", "language_info"}
    assert NOTEBOOK.metadata.kernelspec.name == "python3"
    assert dict(NOTEBOOK.metadata.language_info) == {"name": "python"}


def test_notebook_says_what_phantoms_are_not_for() -> None:
    assert NOTICE in TEXT
    assert "They teach nothing about patients" in TEXT


@pytest.mark.parametrize(("name", "call"), API_CALLS)
def test_every_function_takes_such_arguments(name: str, call: ast.Call) -> None:
    check_call(name, call)


def test_the_whole_pipeline_is_shown() -> None:
    assert [name for name, _ in API_CALLS] == [
        "clean", "split", "eda", "train", "evaluate", "Limits", "convert", "Classifier",
    ]  # fmt: skip
    assert '["verify", "phantom.cxr.zip"]' in SOURCE
    assert not any("'test'" in ast.unparse(call) for name, call in API_CALLS if name == "evaluate")


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
