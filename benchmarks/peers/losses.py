"""What INT8 takes from each contestant, on validation films and against its network in float."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.peers.contestants import CONTESTANTS, KERAS, YOLO, Contestant, float_rival
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.verification import FloatBaseline, verify
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.runs import Run
from cxr_edge_train.statistics.intervals import wilson_interval
from cxr_edge_train.statistics.operating_point import OperatingPoint, threshold_for_sensitivity
from cxr_edge_train.statistics.platt_scaling import probabilities

# As at the operating point of the shipped networks.
_MIN_SENSITIVITY = 0.95


def measure_losses(
    table: pd.DataFrame, files: Callable[[Contestant], Path], run: Run
) -> dict[str, dict[str, Any]]:
    """The figures of every contestant, by its name.

    Args:
        table: the validation films' rows.
        files: where a contestant's logits are, one line per film: logit, tab, path.
        run: of the shipped network, for its temperature and threshold.
    """
    logits = {c.name: _read_logits(files(c), table) for c in CONTESTANTS}
    references = {
        KERAS.name: FloatBaseline.of(table, logits[KERAS.name], run.operating_point),
        YOLO.name: _own_reference(table, logits[YOLO.name]),
    }
    return {c.name: _figures(references[float_rival(c).name], logits[c.name]) for c in CONTESTANTS}


def _read_logits(file: Path, table: pd.DataFrame) -> NDArray[np.float64]:
    logits = pd.read_csv(file, sep="\t", names=["logit", "path"]).set_index("path")["logit"]
    values: NDArray[np.float64] = logits.loc[table["path"]].to_numpy(float)
    return values


def _own_reference(table: pd.DataFrame, logits: NDArray[np.float64]) -> FloatBaseline:
    """A network of a peer's own, at an operating point chosen like the shipped one's."""
    threshold = threshold_for_sensitivity(
        probabilities(logits, temperature=1.0, bias=0.0),
        positives(table),
        min_sensitivity=_MIN_SENSITIVITY,
    )
    point = OperatingPoint(1.0, threshold, "at the shipped sensitivity", "validation")
    return FloatBaseline.of(table, logits, point)


def _figures(reference: FloatBaseline, logits: NDArray[np.float64]) -> dict[str, Any]:
    found = verify(reference, logits, Limits())
    metrics: Mapping[str, Any] = found.metrics.as_dict()
    n, changed = len(logits), len(found.to_negative) + len(found.to_positive)
    agreement = wilson_interval(n - changed, n)
    return {
        "sensitivity": metrics["sensitivity"],
        "specificity": metrics["specificity"],
        "auc": metrics["auc"],
        "recall_drop": found.recall_drop,
        "specificity_drop": found.specificity_drop,
        "auc_drop": found.auc_drop,
        "to_negative": len(found.to_negative),
        "to_positive": len(found.to_positive),
        "agreement": {"value": agreement.value, "low": agreement.low, "high": agreement.high},
        "mcnemar_p": found.mcnemar_p,
        "mean_probability_shift": found.mean_probability_shift,
    }
