"""Measure validation as it would be if the acquisition domain of a film did not predict its label.

    python models/release/shifted_validation.py EVALUATION DOMAINS [--json FILE]

EVALUATION is the folder that `cxr-edge evaluate ... --split validation -o` wrote. DOMAINS is a CSV
file with the columns file and look (the acquisition domain), such as
data/kermany/acquisition_domains.csv. Films are weighted so that each domain has the same share in
both labels, see cxr_edge_train/dataset/acquisition_weights.py; decisions are the model's own, at
its frozen threshold.

The interval of the AUC is the 95% percentile interval of a bootstrap that draws patients within
each label. The weights are computed once and stay with their films, so a draw may lack a domain. A
bootstrap of films that are all classified correctly would have no width, so sensitivity and
specificity have Wilson's interval for the effective number of films (Kish 1965).
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxr_edge_runtime.errors import CxrEdgeError, DatasetError
from cxr_edge_runtime.files import write_text
from cxr_edge_train.dataset.acquisition_weights import domain_weights, domains_of, read_domains
from cxr_edge_train.dataset.class_names import KERMANY, positives
from cxr_edge_train.dataset.metadata import check_values, read_table
from cxr_edge_train.dataset.patients import patient_groups
from cxr_edge_train.statistics.intervals import (
    CONFIDENCE,
    Interval,
    patient_draws,
    wilson_interval,
    wilson_interval_of_share,
)

DRAWS = 2000
# Which label's films each figure is the share of that are decided rightly.
_SHARES = {"sensitivity": KERMANY[1], "specificity": KERMANY[0]}
SEED = 0  # for normal patients; the next number is for the others


def read_films(evaluation: Path, domains: Path) -> pd.DataFrame:
    """Read the rows of ``predictions.csv`` and add the acquisition domain of each as ``look``.

    Raises:
        DatasetError: a file is missing or damaged, a film has no domain, or a label has no film.
    """
    file = evaluation / "predictions.csv"
    needed = ("path", "label", "patient", "probability", "decision")
    films = read_table(file, needed, made_by="cxr-edge evaluate -o", numbers=("probability",))
    check_values(file, films, "label", KERMANY)
    for label in KERMANY:
        if label not in set(films["label"]):
            raise DatasetError(f"{file}: has no {label} films; both labels are needed")
    films["look"] = domains_of(films["path"], read_domains(domains))
    return films


def read_model(evaluation: Path) -> dict[str, Any]:
    """Read the digest and the threshold of the model that was measured.

    Raises:
        DatasetError: ``evaluation.json`` is missing or damaged.
    """
    file = evaluation / "evaluation.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {name: content[name] for name in ("model_sha256", "threshold")}
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{file}: cannot be read ({error}); measure again") from error


def label_draws(films: pd.DataFrame) -> Iterator[NDArray[np.int64]]:
    """Draw patients within each label, endlessly; yields how often each film ``[N]`` was drawn."""
    patients, labels = patient_groups(films).to_numpy(object), positives(films)
    draws = [patient_draws(patients[labels == label], seed=SEED + label) for label in (0, 1)]
    while True:
        times = np.empty(len(films), dtype=np.int64)
        for label, drawn in enumerate(draws):
            times[labels == label] = next(drawn)
        yield times


def weighted_figures(films: pd.DataFrame, weights: NDArray[np.floating]) -> dict[str, float]:
    """Compute AUC, sensitivity and specificity of films with weights ``[N]``."""
    positive = positives(films) == 1
    right = (films["label"] == films["decision"]).to_numpy()
    return {
        "auc": float(roc_auc_score(positive, films["probability"], sample_weight=weights)),
        "sensitivity": float(np.average(right[positive], weights=weights[positive])),
        "specificity": float(np.average(right[~positive], weights=weights[~positive])),
    }


def effective_size(weights: NDArray[np.floating], patients: NDArray[np.object_]) -> float:
    """Compute how many equally weighted films, one per patient, the films equal (Kish 1965)."""
    of_patient = pd.Series(weights).groupby(patients).sum()
    return float(of_patient.sum() ** 2 / (of_patient**2).sum())


def shifted_validation(films: pd.DataFrame) -> dict[str, Any]:
    """Compute all figures of the films, as they are written to the JSON file.

    Args:
        films: what :func:`read_films` returned.

    Returns:
        ``films`` is their number. ``auc``, ``sensitivity`` and ``specificity`` have ``value``,
        ``low``, ``high`` and ``n``: the number of films for AUC, the effective number of the
        label's films (:func:`effective_size`) for the others. ``auc_within_look`` has the
        unweighted AUC within each acquisition domain, None where a domain has one label alone.
        ``by_look`` has, for each domain, ``sensitivity`` and ``specificity`` of its own films
        (None without any). ``films_by_look`` counts films by label and domain.
    """
    labels = positives(films)
    patients = patient_groups(films).to_numpy(object)
    weights = domain_weights(labels, films["look"].to_numpy(object))
    value = weighted_figures(films, weights)
    draws = [
        weighted_figures(films, weights * times)["auc"]
        for times, _ in zip(label_draws(films), range(DRAWS))
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    counts = pd.crosstab(films["label"], films["look"])
    return {
        "films": len(films),
        "auc": asdict(Interval(value["auc"], low, high, len(films))),
        **{
            name: asdict(
                wilson_interval_of_share(
                    value[name],
                    effective_size(weights[labels == label], patients[labels == label]),
                )
            )
            for label, name in ((1, "sensitivity"), (0, "specificity"))
        },
        "auc_within_look": {
            domain: float(roc_auc_score(positives(within), within["probability"]))
            if within["label"].nunique() == 2
            else None
            for domain, within in films.groupby("look")
        },
        "by_look": {
            domain: {name: _share_right(within, label) for name, label in _SHARES.items()}
            for domain, within in films.groupby("look")
        },
        "films_by_look": {label: counts.loc[label].to_dict() for label in KERMANY},
    }


def _share_right(films: pd.DataFrame, label: str) -> dict[str, Any] | None:
    of_label = films[films["label"] == label]
    if of_label.empty:
        return None
    right = int((of_label["label"] == of_label["decision"]).sum())
    return asdict(wilson_interval(right, len(of_label)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("evaluation", type=Path, help="folder of an evaluation on validation")
    parser.add_argument("domains", type=Path, help="CSV with the columns file and look")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    try:
        model = read_model(arguments.evaluation)
        films = read_films(arguments.evaluation, arguments.domains)
        text = json.dumps({**model, **shifted_validation(films)}, indent=2)
        print(text)
        if arguments.json:
            write_text(arguments.json, text + "\n")
    except (CxrEdgeError, OSError) as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
