"""The tables of a comparison: as a CSV file, and with a column per candidate on its pages."""

from collections.abc import Mapping, Sequence

import pandas as pd

from cxr_edge_train.comparison.choice import Candidate, Choice
from cxr_edge_train.comparison.readings import Metrics
from cxr_edge_train.reporting.page import Table
from cxr_edge_train.statistics.intervals import Interval


def csv_table(candidates: Sequence[Candidate], choice: Choice) -> pd.DataFrame:
    """The content of ``comparison.csv``: a row per candidate."""
    rows = []
    for candidate in candidates:
        row: dict[str, object] = {
            "architecture": candidate.run.architecture,
            "candidate": candidate.name,
            "winner": candidate is choice.winner,
            "finalist": candidate in choice.finalists,
            "weights": candidate.run.weights,
            "parameters": candidate.parameters,
            "float32_megabytes": round(candidate.megabytes, 3),
        }
        row |= _columns("recall_at_floor", candidate.recall)
        row |= _columns("specificity_at_floor", candidate.specificity)
        row |= {
            "correct_at_floor": int(candidate.correct.sum()),
            "validation_images": len(candidate.correct),
        }
        row["mcnemar_p"] = choice.p_values[candidate.name]
        for name, metric in candidate.metrics.by_name().items():
            row |= _columns(name, metric)
        row |= {
            "epochs": len(candidate.history),
            "kept_epoch": None if candidate.kept_epoch is None else candidate.kept_epoch + 1,
            "training_seconds": candidate.run.seconds,
            "training_images_per_second": round(candidate.images_per_second, 1),
            "devices": candidate.run.devices,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def overview_table(candidates: Sequence[Candidate], choice: Choice) -> Table:
    """What distinguishes the candidates, those of the choice first."""
    return _by_candidate(
        [f"{c.name} (chosen)" if c is choice.winner else c.name for c in candidates],
        {
            "initial weights": ["random" if c.run.weights == "none" else "pretrained"
                              for c in candidates],
            "parameters": [f"{c.parameters:,}" for c in candidates],
            "float32 weights, MB": [f"{c.megabytes:.1f}" for c in candidates],
            "recall at the floor": [str(c.recall) for c in candidates],
            "specificity there": [str(c.specificity) for c in candidates],
            "correct there": [correct_of_all(c) for c in candidates],
            "McNemar's p": [f"{choice.p_values[c.name]:.3f}" for c in candidates],
            "AUC": [str(c.metrics.auc) for c in candidates],
            "epochs": [str(len(c.history)) for c in candidates],
            "kept epoch": ["–" if c.kept_epoch is None else str(c.kept_epoch + 1)
                           for c in candidates],
            "training, minutes": [f"{c.run.seconds / 60:.1f}" for c in candidates],
            "training, images per second": [f"{c.images_per_second:.0f}" for c in candidates],
        },
    )  # fmt: skip


def correct_of_all(candidate: Candidate) -> str:
    """How many validation images a candidate calls correctly at the floor, ``812 of 865``."""
    return f"{int(candidate.correct.sum())} of {len(candidate.correct)}"


def metrics_table(names: Sequence[str], measured: Sequence[Metrics]) -> Table:
    """A row per metric.

    Args:
        names: headings of the columns.
        measured: the metrics of each column; those that a column lacks are shown as a dash.
    """
    metrics = list(dict.fromkeys(metric for each in measured for metric in each))
    rows = {
        metric.replace("_", " "): [str(each.get(metric, "–")) for each in measured]
        for metric in metrics
    }
    if "accuracy" in metrics:
        rows["correct"] = [_correct(each.get("accuracy")) for each in measured]
    return _by_candidate(names, rows)


def _correct(accuracy: Interval | None) -> str:
    """The number of images behind an accuracy, which is a share of them."""
    return "–" if accuracy is None else f"{round(accuracy.value * accuracy.n)} of {accuracy.n}"


def _columns(name: str, metric: Interval) -> dict[str, float]:
    return {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}


def _by_candidate(names: Sequence[str], rows: Mapping[str, Sequence[str]]) -> Table:
    return Table(["", *names], [[title, *cells] for title, cells in rows.items()])
