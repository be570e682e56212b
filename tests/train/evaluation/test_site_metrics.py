import numpy as np
import pandas as pd
import pytest

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.dataset.patients import patient_groups
from cxr_edge_train.evaluation import site_metrics as module
from cxr_edge_train.evaluation.site_metrics import cross_fitted_site_metrics, site_metrics
from cxr_edge_train.statistics.operating_point import OperatingPoint
from cxr_edge_train.statistics.platt_scaling import folds_by_patient

POINT = OperatingPoint(2.0, 0.5, "a rule", "local", 1.0, 0.5)


def films(number: int = 40, *, per_patient: int = 2) -> tuple[pd.DataFrame, np.ndarray]:
    """Films of either label in turn, and logits that know a little of it."""
    labels = np.repeat(np.arange(number // per_patient) % 2, per_patient)
    table = pd.DataFrame(
        {
            "path": [f"{n}.png" for n in range(number)],
            "label": np.where(labels == 1, "PNEUMONIA", "NORMAL"),
            "patient": [f"p{n // per_patient}" for n in range(number)],
        }
    )
    return table, np.random.default_rng(0).normal(labels.astype(float), 1.0)


def test_metrics_are_those_of_their_formulas() -> None:
    table, logits = films()
    found = site_metrics(logits, table, POINT)
    p, y = 1 / (1 + np.exp(-(logits + 1) / 2)), positives(table)
    assert found["log_loss"].value == pytest.approx(-np.log(np.where(y == 1, p, 1 - p)).mean())
    assert found["mean_probability"].value == pytest.approx(p.mean())
    assert found["brier"].value == pytest.approx(((p - y) ** 2).mean())
    assert found["sensitivity"].value == pytest.approx((p[y == 1] >= 0.5).mean())
    assert found["specificity"].value == pytest.approx((p[y == 0] < 0.5).mean())


def test_labels_of_a_part_do_not_move_its_own_probabilities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, logits = films(80)
    seen: list[np.ndarray] = []
    real = module._metrics

    def remember(logits: np.ndarray, films: pd.DataFrame, *answers: np.ndarray) -> object:
        seen.append(np.stack(answers))
        return real(logits, films, *answers)

    monkeypatch.setattr(module, "_metrics", remember)
    patients = patient_groups(table).to_numpy(object)
    parts = [part for _, part in folds_by_patient(positives(table), patients)]
    cross_fitted_site_metrics(logits, table, min_sensitivity=0.9)
    # The same division, with two patients of the first part having changed labels.
    monkeypatch.setattr(module, "folds_by_patient", lambda *_: iter(_divided(len(table), parts)))
    changed = table.copy()
    flip = {"NORMAL": "PNEUMONIA", "PNEUMONIA": "NORMAL"}
    changed.loc[parts[0][:4], "label"] = changed.loc[parts[0][:4], "label"].map(flip)
    cross_fitted_site_metrics(logits, changed, min_sensitivity=0.9)
    before, after = seen
    np.testing.assert_array_equal(before[:, parts[0]], after[:, parts[0]])
    assert (before[0, parts[1]] != after[0, parts[1]]).all()


def _divided(number: int, parts: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.setdiff1d(np.arange(number), part), part) for part in parts]


def test_no_patient_is_fitted_on_and_measured() -> None:
    table, _ = films(60, per_patient=3)
    patients = patient_groups(table).to_numpy(object)
    measured = []
    for others, part in folds_by_patient(positives(table), patients):
        assert not set(patients[others]) & set(patients[part])
        measured.extend(part)
    assert sorted(measured) == list(range(60))


def test_one_patient_of_a_label_leaves_nothing_to_hold_out() -> None:
    table, logits = films()
    table.loc[table["label"] == "NORMAL", "patient"] = "p0"
    with pytest.raises(DatasetError, match="each label needs films of at least two patients"):
        cross_fitted_site_metrics(logits, table, min_sensitivity=0.9)
