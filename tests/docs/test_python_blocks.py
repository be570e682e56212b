"""Run the Python code that pages show."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cxr_edge
from api_calls import api_calls, check_call
from scripts import ROOT

PAGE = ROOT / "docs" / "reference" / "python-api.md"


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The samples in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(ROOT / "data" / "samples", "data/samples"))


def test_example_of_the_python_api_classifies_the_samples(
    samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(path.name for path in samples.iterdir())
    (samples / "broken.jpeg").write_text("no picture")
    example, _ = blocks(PAGE)
    exec(compile(example, "python-api.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == names
    assert lines[0].startswith("data/samples/broken.jpeg: not a JPEG")
    assert all(line.split()[2] in ("NORMAL", "PNEUMONIA", "None") for line in lines[1:])


def test_pipeline_of_the_python_api_calls_what_there_is() -> None:
    _, pipeline = blocks(PAGE)
    calls = api_calls(pipeline)
    assert [name for name, _ in calls] == ["clean", "split", "train", "convert"]
    for name, call in calls:
        check_call(name, call)


def test_page_on_the_python_api_describes_every_public_name() -> None:
    described = re.findall(r"^::: cxr_edge\.(\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(described) == sorted(cxr_edge.__all__)


def test_readme_classifies_in_a_few_lines(
    samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [example] = blocks(ROOT / "README.md")
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("PNEUMONIA 0.99")


def test_design_note_counts_what_rounding_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # The threshold is a logit of about -1.513: rounding moves one of the two films near it across.
    logits = np.array([-10.0, -1.51, -1.52, 10.0])
    Path("bundles").mkdir()
    pd.DataFrame({"path": list("abcd"), "int8": logits}).to_csv("bundles/predictions.csv")
    [block] = blocks(ROOT / "docs" / "design" / "float-logit.md")
    exec(compile(block, "float-logit.md", "exec"), {})
    distinct, rounded, flips = map(int, capsys.readouterr().out.split())
    assert (distinct, rounded) == (4, 3)
    assert flips == 1
