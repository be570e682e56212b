from pathlib import Path

from card_evaluation import evaluation_text
from card_figures import gathered
from card_sections import shipped_sections
from cxr_edge_convert.bundling.model_card import EVALUATION, EXAMINATION, IMPACT, TRAINING
from cxr_edge_runtime.bundle import Bundle


def test_card_says_what_was_measured(
    bundle: Bundle, run: Path, measured: Path, log: list[str]
) -> None:
    figures = gathered(bundle, run, measured, log)
    sections = shipped_sections("small", figures)
    assert sections[EVALUATION] == evaluation_text("small", figures)
    changed = "| corners blacked out | 0.040 | +0.030 | 91.0% | -0.020 | 88.0% | 0.970 |"
    assert changed in sections[EXAMINATION]
    assert "80% in correct decisions (10), 50% in missed pneumonias (3);" in sections[EXAMINATION]
    assert "Trained in 10 minutes on cpu:0" in sections[IMPACT]
    # The tiny data set's run: what it was trained on, and how.
    train = figures["training"]["films"]["train"]["normal"]
    assert f"| train, normal | {train['films']:,} | {train['patients']:,} |" in sections[TRAINING]
    assert 0 < train["patients"] <= train["films"]
    assert "2 epochs" in sections[TRAINING]
    assert "Trained on the labels." in sections[TRAINING]


def test_card_of_a_student_says_who_taught_it(
    bundle: Bundle, run: Path, measured: Path, log: list[str]
) -> None:
    figures = gathered(bundle, run, measured, log)
    figures["training"]["recipe"]["fit"]["teachers"] = 3
    sections = shipped_sections("small", figures)
    assert "3 networks were trained first" in sections[TRAINING]
