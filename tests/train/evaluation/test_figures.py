import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxr_edge_runtime.errors import RunError
from cxr_edge_train.dataset.class_names import KERMANY
from cxr_edge_train.evaluation.confusion_matrix import draw_confusion
from cxr_edge_train.evaluation.curves import draw_precision_recall, draw_reliability, draw_roc
from cxr_edge_train.evaluation.figures import write_figures, write_learning_curves
from cxr_edge_train.evaluation.learning_curves import draw_learning_curves
from cxr_edge_train.evaluation.metrics import Confusion, Metrics, evaluate
from cxr_edge_train.evaluation.predictions import prediction_table
from cxr_edge_train.evaluation.worst_errors import draw_worst_errors, shown_name, worst_errors
from cxr_edge_train.recipe import Fit
from cxr_edge_train.statistics.operating_point import OperatingPoint

N = 40
LABELS = np.arange(N) % 2
TABLE = pd.DataFrame(
    {
        "path": [f"data/{number}.png" for number in range(N)],
        "label": np.where(LABELS, "PNEUMONIA", "NORMAL"),
        "kind": np.where(LABELS, "virus", "normal"),
        "patient": [str(number) for number in range(N)],
    }
)
GOOD = np.where(LABELS, 3.0, -3.0) + np.random.default_rng(0).normal(0, 3, N)


def predicted(logits: np.ndarray, threshold: float = 0.5) -> tuple[pd.DataFrame, Metrics]:
    point = OperatingPoint(1.0, threshold, "a rule", "validation")
    predictions = prediction_table(TABLE, logits, point)
    return predictions, evaluate(
        predictions["probability"].to_numpy(), predictions, threshold=threshold
    )


def write(folder: Path, logits: np.ndarray) -> list[str]:
    predictions, metrics = predicted(logits)
    write_figures(
        folder,
        predictions,
        metrics,
        threshold=0.5,
        films=lambda rows: np.full((len(rows), 32, 32, 1), 90, dtype=np.uint8),
        activation_maps=lambda films: np.linspace(-1, 1, len(films) * 9).reshape(-1, 3, 3),
    )
    return sorted(path.name for path in folder.iterdir())


def test_all_figures_are_written_and_the_same_bytes_again(tmp_path: Path) -> None:
    names = write(tmp_path / "a", GOOD)
    assert names == [
        "confusion.png", "precision_recall.png", "reliability.png", "roc.png", "worst_errors.png",
    ]  # fmt: skip
    write(tmp_path / "b", GOOD)
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("logits", [np.where(LABELS, 3.0, -3.0), np.full(N, -5.0), -GOOD])
def test_models_that_are_never_wrong_or_always_say_normal_are_drawn(
    tmp_path: Path, logits: np.ndarray
) -> None:
    for name in write(tmp_path / "f", logits):
        with Image.open(tmp_path / "f" / name) as picture:
            assert picture.width > 300


def test_operating_point_lies_where_the_decisions_are() -> None:
    predictions, metrics = predicted(GOOD)
    [axes] = draw_roc(predictions, metrics, threshold=0.5).axes
    point = axes.containers[0].lines[0].get_xydata()[0]
    assert point == pytest.approx([1 - metrics.specificity.value, metrics.sensitivity.value])
    [axes] = draw_precision_recall(predictions, metrics, threshold=0.5).axes
    point = axes.containers[0].lines[0].get_xydata()[0]
    assert metrics.precision is not None
    assert point == pytest.approx([metrics.sensitivity.value, metrics.precision.value])


def test_without_a_positive_decision_there_is_no_precision_to_show() -> None:
    predictions, metrics = predicted(np.full(N, -5.0))
    [axes] = draw_precision_recall(predictions, metrics, threshold=0.5).axes
    assert not axes.containers


def test_reliability_shows_shares_and_counts_of_every_image() -> None:
    predictions, metrics = predicted(GOOD)
    upper, lower = draw_reliability(predictions, metrics).axes
    assert sum(bar.get_height() for bar in lower.patches) == N
    shown = upper.containers[0].lines[0].get_xydata()
    assert len(shown) == len(lower.patches)
    assert ((shown >= 0) & (shown <= 1)).all()


def test_confusion_has_the_label_in_rows() -> None:
    [axes] = draw_confusion(Confusion(tn=8, fp=2, fn=1, tp=3), KERMANY).axes
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts[(1, 0)] == "2\n20.0%"
    assert texts[(0, 1)] == "1\n25.0%"
    assert axes.get_title() == "11 of 14 correct"


def test_worst_errors_are_wrong_and_the_most_certain_first() -> None:
    predictions, _ = predicted(GOOD)
    worst = predictions.iloc[worst_errors(predictions)]
    assert 0 < len(worst) <= 12
    assert (worst["label"] != worst["decision"]).all()
    distance = (worst["probability"] - (worst["label"] == "PNEUMONIA")).abs()
    assert distance.is_monotonic_decreasing


def test_title_of_an_error_has_label_probability_and_file() -> None:
    errors = pd.DataFrame({"path": ["x/a$b$.png"], "label": ["NORMAL"], "probability": [0.9]})
    film, contribution = np.zeros((1, 8, 8, 1), dtype=np.uint8), np.zeros((1, 2, 2))
    figure = draw_worst_errors(errors, film, contribution, n_errors=5)
    assert figure.axes[0].get_title() == "label NORMAL, probability 0.900\na$b$.png"
    assert figure.get_suptitle() == "The worst 1 of 5 wrong decisions"


def test_names_in_titles_are_short_and_have_glyphs() -> None:
    assert shown_name("data/plain.jpeg") == "plain.jpeg"
    assert len(shown_name("x" * 90 + ".jpeg")) == 30
    assert shown_name("肺.png") == "\\u80ba.png"


HISTORY = pd.DataFrame(
    {
        "epoch": [0, 1, 2, 3],
        "loss": [0.9, 0.5, 0.4, 0.3],
        "val_loss": [0.1, 0.6, 0.2, float("nan")],
        "val_auc": [0.99, 0.90, 0.80, float("nan")],
        "val_sensitivity": [0.9, 0.91, 0.92, float("nan")],
        "val_specificity": [0.8, 0.81, 0.82, float("nan")],
        "val_accuracy": [0.85, 0.86, 0.87, float("nan")],
    }
)


def labels_of(axes: Any) -> list[str]:
    return [str(line.get_label()) for line in axes.lines if line.get_label()[0] != "_"]


def test_learning_curves_show_both_losses_the_metrics_and_the_kept_epoch() -> None:
    losses, metrics = draw_learning_curves(HISTORY, Fit(head_epochs=1)).axes
    assert labels_of(losses) == ["train (augmented)", "validation", "kept: epoch 2"]
    assert losses.get_ylabel() == "loss, both labels weighted equally"
    assert labels_of(metrics) == [
        "AUC", "sensitivity", "specificity", "accuracy", "kept: epoch 2",
    ]  # fmt: skip
    np.testing.assert_array_equal(metrics.lines[0].get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(metrics.lines[3].get_ydata()[:3], [0.85, 0.86, 0.87])


def test_learning_curves_of_an_earlier_version_have_the_losses_alone() -> None:
    earlier = HISTORY[["epoch", "loss", "val_loss"]]
    [axes] = draw_learning_curves(earlier, Fit(head_epochs=1)).axes
    assert labels_of(axes) == ["train (augmented)", "validation", "kept: epoch 3"]
    assert axes.get_ylabel() == "loss"  # that of validation was not weighted then


def test_learning_curves_of_a_validation_loss_that_never_was_a_number_mark_none() -> None:
    losses = [float("nan")] * 2
    history = pd.DataFrame({"epoch": [0, 1], "loss": [0.9, 0.5], "val_loss": losses})
    [axes] = draw_learning_curves(history, Fit(head_epochs=0)).axes
    assert labels_of(axes) == ["train (augmented)", "validation"]


def test_learning_curves_of_a_run_with_recipe_keys_of_an_earlier_version_are_drawn(
    trained: Any, tmp_path: Path
) -> None:
    shutil.copy(trained.run / "history.csv", tmp_path)
    recipe = (trained.run / "recipe.toml").read_text()
    earlier = recipe.replace("[fit]", "frame = 0.4\n[fit]\nteachers = 3")
    (tmp_path / "recipe.toml").write_text(earlier)
    write_learning_curves(tmp_path, tmp_path)
    assert (tmp_path / "learning_curves.png").exists()


@pytest.mark.parametrize("content", [None, "", "epoch,loss\n0,1\n", "epoch,loss,val_loss\n0,x,y\n"])
def test_damaged_history_is_one_line(trained: Any, tmp_path: Path, content: str | None) -> None:
    (tmp_path / "recipe.toml").write_text((trained.run / "recipe.toml").read_text())
    if content is not None:
        (tmp_path / "history.csv").write_text(content)
    with pytest.raises(RunError, match=r"history\.csv: damaged"):
        write_learning_curves(tmp_path, tmp_path)
