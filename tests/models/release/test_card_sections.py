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
    interval = "0.900 [0.800, 0.950]"
    changed = f"| corners blacked out | 0.970 | {interval} | {interval} | 5.0% | +0.030 | -0.020 |"
    assert changed in sections[EXAMINATION]
    assert "0.900; this model gets whole films." in sections[EXAMINATION]
    assert "| correct decisions | 10 | 80% | 30% | 60% |" in sections[EXAMINATION]
    assert "| missed pneumonias | 3 | 50% | 30% | 40% |" in sections[EXAMINATION]
    assert "no evidence that this model looks at the lungs" in sections[EXAMINATION]
    assert "Trained in 10 minutes on cpu:0" in sections[IMPACT]
    # The tiny data set's run: what it was trained on, and how.
    train = figures["training"]["films"]["train"]["normal"]
    assert f"| train, normal | {train['films']:,} | {train['patients']:,} |" in sections[TRAINING]
    assert 0 < train["patients"] <= train["films"]
    assert "3 epochs" in sections[TRAINING]


def test_card_of_a_model_that_sees_boxes_says_what_they_take_away(
    bundle: Bundle, run: Path, measured: Path, log: list[str]
) -> None:
    figures = gathered(bundle, run, measured, log)
    figures["behaviour"]["framing"] = {
        "auc_of_height_in_film": 0.9,
        "auc_of_height_in_view": 0.55,
        "decisions_changed_by_true_box": 0.012,
    }
    figures["behaviour"]["activation_maps"]["missed"]["maps"] = 0.7
    text = shipped_sections("small", figures)[EXAMINATION].replace("\n", " ")
    assert "of the model's input they fill has an AUC of 0.550." in text
    assert "1.2% of the decisions change" in text
    assert "no evidence that this model looks at the lungs" not in text
