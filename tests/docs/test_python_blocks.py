"""Run the Python code that pages show."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scripts import ROOT


def blocks(page: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_example_of_the_python_api_classifies_the_phantoms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "data" / "samples", "data/samples")
    (tmp_path / "data/samples/broken.jpeg").write_text("no picture")
    [example] = blocks("reference/python-api.md")
    exec(compile(example, "python-api.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == sorted(
        path.name for path in Path("data/samples").glob("phantom*")
    )
    assert lines[0].startswith("data/samples/broken.jpeg: not a JPEG")
    assert all(line.split()[2] in ("NORMAL", "PNEUMONIA", "None") for line in lines[1:])


def test_design_note_counts_what_rounding_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # The threshold is a logit of about -1.513: rounding moves one of the two films near it across.
    logits = np.array([-10.0, -1.51, -1.52, 10.0])
    Path("bundles").mkdir()
    pd.DataFrame({"path": list("abcd"), "int8": logits}).to_csv("bundles/predictions.csv")
    [block] = blocks("design/float-logit.md")
    exec(compile(block, "float-logit.md", "exec"), {})
    distinct, rounded, flips = map(int, capsys.readouterr().out.split())
    assert (distinct, rounded) == (4, 3)
    assert flips == 1
