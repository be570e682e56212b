"""Candidates of a comparison that were never trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.comparison.choice import Candidate
from cxr_edge_train.evaluation.metrics import evaluate
from cxr_edge_train.runs import Run
from cxr_edge_train.statistics.intervals import wilson_interval
from cxr_edge_train.statistics.operating_point import OperatingPoint

LABELS = np.array([0] * 100 + [1] * 100)
ROWS = pd.DataFrame(
    {
        "label": np.where(LABELS == 1, "PNEUMONIA", "NORMAL"),
        "patient": [f"p{n}" for n in range(200)],
        "path": [f"{n}.png" for n in range(200)],
    }
)
RUN = Run(
    Path(), "?", "none", 0, ".", "digest", PreprocessSpec(32, 32),
    OperatingPoint(1.0, 0.5, "a rule", "validation"), {}, {}, 60.0, "cpu:0, float32",
)  # fmt: skip


def candidate(name: str, *, wrong: list[int], auc: float = 0.9, parameters: int = 10) -> Candidate:
    """One that is wrong on the given images at the floor, with an AUC set by hand."""
    right = ~np.isin(np.arange(200), wrong)
    probabilities = np.where(right == (LABELS == 1), 0.9, 0.1)
    metrics = evaluate(probabilities, ROWS, threshold=0.5)
    recall = wilson_interval(int(right[LABELS == 1].sum()), 100)
    return Candidate(
        name=name,
        run=replace(RUN, folder=Path(name), architecture=name),
        parameters=parameters,
        history=pd.DataFrame({"epoch": [0, 1], "loss": [1.0, 0.5], "val_loss": [0.9, 0.6]}),
        kept_epoch=1,
        labels=LABELS,
        probabilities=probabilities,
        metrics=replace(metrics, auc=replace(metrics.auc, value=auc)),
        recall=recall,
        specificity=wilson_interval(int(right[LABELS == 0].sum()), 100),
        correct=right,
        images_per_second=10.0,
    )
