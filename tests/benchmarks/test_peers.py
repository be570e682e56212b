import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scripts import ROOT

PEERS = ROOT / "benchmarks" / "peers"
TOOLS = ("keras", "onnxruntime", "openvino", "ultralytics")
SCRIPTS = ["inputs", "run", *(f"{tool}_peer" for tool in TOOLS)]


@pytest.fixture(scope="module")
def page() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        return importlib.import_module("benchmarks.peers.page")


@pytest.fixture
def figures(page: ModuleType) -> dict[str, Any]:
    """cxr-edge takes 1 s for a film and 2 s and then 3 s for the folder, all others twice that."""

    def processes(*seconds: float, peak: float) -> list[dict[str, float]]:
        return [{"seconds": s, "processor_seconds": 3 * s, "peak_mib": peak} for s in seconds]

    ours = {
        "one": processes(1, 1, peak=60),
        "folder": processes(2, 3, peak=80),
        "model_bytes": 2.7e6,
    }
    others = {
        "one": processes(2, 2, peak=205),
        "folder": processes(4, 6, peak=300),
        "model_bytes": 8e6,
    }
    drop = {
        "recall_drop": 0.01, "specificity_drop": 0.0, "auc_drop": -0.002,
        "to_negative": 8, "to_positive": 1, "mcnemar_p": 0.039, "mean_probability_shift": 0.02,
        "agreement": {"value": 0.991, "low": 0.983, "high": 0.995},
    }  # fmt: skip
    names = [contestant.name for contestant in page.CONTESTANTS]
    return {
        "date": "2026-01-02", "python": "3.11.0", "machine": "x86_64", "cores": 2,
        "load_before_rounds": [0.1, 0.4], "films": 101,
        "versions": {peer: {peer: "1.0"} for peer in page.PEERS},
        "installed_mb": {peer: {"classify": 100, "prepare": 200} for peer in page.PEERS},
        "runs": dict.fromkeys(names, others) | {page.BASE_LINE.name: ours},
        "losses": dict.fromkeys(names, drop),
    }  # fmt: skip


def row(page: ModuleType, figures: dict[str, Any], begin: str, *, table: int = 0) -> list[str]:
    lines = [x for x in page.tables(figures).splitlines() if x.startswith(f"| {begin} |")]
    return [cell.strip() for cell in lines[table].split("|")[2:-1]]


def test_others_are_shown_as_ratios_to_cxr_edge(page: ModuleType, figures: dict[str, Any]) -> None:
    twice = "× 2.00 (2.00–2.00)"
    assert row(page, figures, "**cxr-edge**, INT8") == ["1.00 s", "3.00 s", "60 MiB", "2.70 MB"]
    assert row(page, figures, "Keras, float") == [twice, twice, "205 MiB", "8.00 MB"]
    # Of a folder the time of a single film is taken off: 100 films in 1 and 2 s, in 2 and 4 s.
    ours, theirs = (row(page, figures, x, table=1) for x in ("**cxr-edge**, INT8", "Keras, float"))
    assert ours == ["2.50 s", "7.50 s", "75", "80 MiB"]
    assert theirs == [twice, twice, "× 0.50 (0.50–0.50)", "300 MiB"]


def test_losses_leave_out_what_is_compared_with(page: ModuleType, figures: dict[str, Any]) -> None:
    assert row(page, figures, "OpenVINO, INT8 by NNCF", table=2) == [
        "-0.010", "+0.000", "+0.002", "8, 1", "0.991 [0.983, 0.995]", "0.039", "0.020",
    ]  # fmt: skip
    assert sum("| Keras, float |" in x for x in page.tables(figures).splitlines()) == 2


def test_page_keeps_what_stands_around_the_tables(
    page: ModuleType, figures: dict[str, Any]
) -> None:
    written = page.insert(f"before\n{page.BEGIN}\nstale\n{page.END}\nafter\n", figures)
    assert written.startswith(f"before\n{page.BEGIN}\n")
    assert written.endswith(f"{page.END}\nafter\n")
    assert "stale" not in written
    assert page.insert(written, figures) == written
    with pytest.raises(ValueError, match="lacks"):
        page.insert("no marks", figures)


def test_published_figures_give_the_published_tables(page: ModuleType) -> None:
    published = ROOT / "docs" / "results"
    figures = json.loads((published / "peers" / "figures.json").read_text())
    text = (published / "peers.md").read_text()
    assert page.insert(text, figures) == text


@pytest.mark.parametrize("file", sorted(PEERS.glob("requirements-*.txt")), ids=lambda f: f.name)
def test_requirements_are_exact(file: Path) -> None:
    lines = [x for x in file.read_text().splitlines() if not x.startswith("#")]
    assert lines
    assert [x for x in lines if not re.fullmatch(r"[\w.\-]+==[\w.]+", x)] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_explains_itself_without_its_tool(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.peers.{script}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
