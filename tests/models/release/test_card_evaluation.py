from pathlib import Path

import pytest

from card_evaluation import evaluation_text
from card_figures import gathered
from cxr_edge_runtime.bundle import Bundle


@pytest.fixture
def text(bundle: Bundle, run: Path, measured: Path, log: list[str]) -> str:
    return evaluation_text("small", gathered(bundle, run, measured, log))


@pytest.mark.parametrize(
    "words",
    [
        "on 2026-01-02",
        "40 normal films a\nspecificity of 0.90 has a 95% interval of 0.77 to 0.96",
        "Films by acquisition domain: NORMAL A 18, B 2; PNEUMONIA A 5, B 15.",
        "| A | 0.875 | 0.900 [0.800, 0.950] | 0.900 [0.800, 0.950] |",
        "| B | – | 0.900 [0.800, 0.950] | – |",
        "| virus | 0.900 [0.800, 0.950] | 0.900 [0.800, 0.950] |",
        "Expected calibration error on test, at the prevalence of validation:\n",
        "docs/results/cards/small/calibration.png",
        "AUC\n0.810 [0.800, 0.950]",
        "**9** are classified the\nsame as their copies; the probability changes by\n0.010",
        "INT8 changes sensitivity by -0.0010",
        "agrees\nwith float on 99.50%",
    ],
)
def test_each_part_says_what_was_measured(text: str, words: str) -> None:
    assert words in text


def test_operating_points_stand_by_rising_threshold(text: str) -> None:
    header = "| chosen on validation | threshold |"
    rows = text[text.index(header) :].split("\n\n")[0].splitlines()[2:]
    thresholds = [float(row.split("|")[2]) for row in rows]
    assert len(thresholds) > 1
    assert thresholds == sorted(thresholds)
