"""The tables of a comparison: as a CSV file, and with a column per architecture on its pages."""

from collections.abc import Mapping, Sequence

import pandas as pd

from cxr_edge_train.comparison.choice import Candidate, Choice
from cxr_edge_train.comparison.readings import Metrics
from cxr_edge_train.reporting.page import Table
from cxr_edge_train.statistics.intervals import Interval


def csv_table(candidates: Sequence[Candidate], choice: Choice) -> pd.DataFrame:
    """The content of ``comparison.csv``: a row per architecture."""
    rows = []
    for candidate in candidates:
        row: dict[str, object] = {
            "architecture": candidate.name,
            "winner": candidate is choice.winner,
            "finalist": candidate in choice.finalists,
            "weights": candidate.run.weights,
            "parameters": candidate.parameters,
            "float32_megabytes": round(candidate.megabytes, 3),
        }
        row |= _columns("recall_at_floor", candidate.recall)
        row |= _columns("specificity_at_floor", candidate.specificity)
        row["mcnemar_p"] = choice.p_values[candidate.name]
        for name, metric in candidate.metrics.by_name().items():
            row |= _columns(name, metric)
        row |= {
            "epochs": len(candidate.history),
            "training_seconds": candidate.run.seconds,
            "training_images_per_second": round(candidate.images_per_second, 1),
            "devices": candidate.run.devices,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def overview_table(candidates: Sequence[Candidate], choice: Choice) -> Table:
    """What distinguishes the architectures, those of the choice first."""
    return _by_architecture(
        [f"{c.name} (chosen)" if c is choice.winner else c.name for c in candidates],
        {
            "weights began": ["random" if c.run.weights == "none" else "pretrained"
                              for c in candidates],
            "parameters": [f"{c.parameters:,}" for c in candidates],
            "float32 weights, MB": [f"{c.megabytes:.1f}" for c in candidates],
            "recall at the floor": [str(c.recall) for c in candidates],
            "specificity there": [str(c.specificity) for c in candidates],
            "McNemar's p": [f"{choice.p_values[c.name]:.3f}" for c in candidates],
            "AUC": [str(c.metrics.auc) for c in candidates],
            "epochs": [str(len(c.history)) for c in candidates],
            "training, minutes": [f"{c.run.seconds / 60:.1f}" for c in candidates],
            "training, images a second": [f"{c.images_per_second:.0f}" for c in candidates],
        },
    )  # fmt: skip


def metrics_table(names: Sequence[str], measured: Sequence[Metrics]) -> Table:
    """A row per metric.

    Args:
        names: headings of the columns.
        measured: the metrics of each column; those that a column lacks are shown as a dash.
    """
    metrics = list(dict.fromkeys(metric for each in measured for metric in each))
    return _by_architecture(
        names,
        {
            metric.replace("_", " "): [str(each.get(metric, "–")) for each in measured]
            for metric in metrics
        },
    )


def _columns(name: str, metric: Interval) -> dict[str, float]:
    return {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}


def _by_architecture(names: Sequence[str], rows: Mapping[str, Sequence[str]]) -> Table:
    return Table(["", *names], [[title, *cells] for title, cells in rows.items()])
