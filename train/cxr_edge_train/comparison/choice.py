"""Candidates compared on the same validation images, and the choice of one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.defaults import MIN_SPECIFICITY
from cxr_edge_train.evaluation.metrics import Metrics, count_decisions, evaluate_fitted
from cxr_edge_train.recipe import recipe_of_run
from cxr_edge_train.runs import (
    Run,
    read_dataset,
    read_history,
    read_predictions,
    read_run,
)
from cxr_edge_train.statistics.intervals import Interval
from cxr_edge_train.statistics.kept_epoch import kept_epoch
from cxr_edge_train.statistics.mcnemar import exact_mcnemar
from cxr_edge_train.statistics.operating_point import threshold_for_specificity

# Candidates that differ from the leader with a p-value below this are not finalists.
SIGNIFICANCE = 0.05


# eq=False: of two arrays, == is an array, not an answer.
@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One trained architecture, by one recipe.

    Attributes:
        name: its name in the comparison, that of the architecture unless that has several recipes.
        run: its finished run.
        parameters: number of parameters of the network.
        history: ``history.csv``, one row per epoch.
        kept_epoch: the epoch whose model was kept, counted from 0.
        labels: ``[N]`` of 1 (positive) and 0, of the validation images.
        probabilities: ``[N]`` probability of the positive label of the same images.
        metrics: metrics on validation at the run's own operating point.
        recall: recall at the threshold of the highest recall with the required specificity.
        specificity: specificity at that threshold.
        correct: ``[N]`` whether the decision at that threshold is correct.
        images_per_second: training images per second of wall time, over all epochs.
    """

    name: str
    run: Run
    parameters: int
    history: pd.DataFrame
    kept_epoch: int | None
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    metrics: Metrics
    recall: Interval
    specificity: Interval
    correct: NDArray[np.bool_]
    images_per_second: float

    @property
    def megabytes(self) -> float:
        """Size of the weights as float32, in units of 10^6 bytes."""
        return self.parameters * 4 / 1e6


@dataclass(frozen=True, slots=True)
class Choice:
    """Which candidate is chosen, and why.

    Attributes:
        winner: the candidate that is chosen.
        leader: the candidate with the highest recall.
        p_values: p-values of McNemar's test between the leader and each candidate, by name.
        finalists: the leader and the candidates that do not differ from it, best first.
        reason: why the winner was chosen, in words.
    """

    winner: Candidate
    leader: Candidate
    p_values: dict[str, float]
    finalists: tuple[Candidate, ...]
    reason: str


def read_candidate(
    folder: Path,
    *,
    parameters: int,
    min_specificity: float = MIN_SPECIFICITY,
    name: str | None = None,
) -> Candidate:
    """Read a finished run; nothing is computed on test images.

    Args:
        folder: folder of the run.
        parameters: number of parameters of its network.
        min_specificity: recall is compared where specificity is at least this.
        name: its name in the comparison; that of the architecture if None.

    Raises:
        RunError: the run is unfinished or damaged.
    """
    run = read_run(folder)
    table = read_dataset(folder)
    validation = table[table["split"] == "validation"]
    labels = positives(validation)
    logits = read_predictions(folder, validation)
    probabilities = run.operating_point.probabilities(logits)
    threshold = threshold_for_specificity(probabilities, labels, min_specificity=min_specificity)
    called = probabilities >= threshold
    counts = count_decisions(probabilities, labels, threshold=threshold)
    history = read_history(folder)
    trained = int((table["split"] == "train").sum()) * len(history)
    return Candidate(
        name=name or run.architecture,
        run=run,
        parameters=parameters,
        history=history,
        kept_epoch=kept_epoch(history, recipe_of_run(folder).fit),
        labels=labels,
        probabilities=probabilities,
        metrics=evaluate_fitted(logits, validation, run.operating_point),
        recall=counts.sensitivity,
        specificity=counts.specificity,
        correct=called == (labels == 1),
        images_per_second=trained / run.seconds if run.seconds else float("nan"),
    )


def choose(candidates: Sequence[Candidate]) -> Choice:
    """Choose by recall; among candidates that do not differ from the best, by AUC, then by size.

    Raises:
        InvalidRequest: there is no candidate, or they were not trained on the same images.
    """
    if len({candidate.run.dataset_digest for candidate in candidates}) != 1:
        raise InvalidRequest("runs can be compared only if they share images and splits")
    leader = max(candidates, key=lambda candidate: (candidate.recall.value, _by_auc(candidate)))
    p_values = {c.name: exact_mcnemar(leader.correct, c.correct) for c in candidates}
    finalists = sorted(
        (c for c in candidates if p_values[c.name] >= SIGNIFICANCE), key=_by_auc, reverse=True
    )
    winner = finalists[0]
    return Choice(
        winner,
        leader,
        p_values,
        tuple(finalists),
        _reason(winner, leader, finalists, only_one=len(candidates) == 1),
    )


def _by_auc(candidate: Candidate) -> tuple[float, int]:
    # Three digits, as they are printed: beyond them only the draw of validation differs.
    return round(candidate.metrics.auc.value, 3), -candidate.parameters


def _reason(
    winner: Candidate, leader: Candidate, finalists: Sequence[Candidate], *, only_one: bool
) -> str:
    floor = leader.specificity
    text = (
        f"{leader.name} has the highest validation recall, {leader.recall}, where specificity is "
        f"{floor.value:.3f}. "
    )
    others = [c.name for c in finalists if c is not leader]
    if only_one:
        return text + "It is the only candidate."
    if not others:
        return text + "Every other candidate's decisions differ from it (exact McNemar's test)."
    text += (
        f"By the exact McNemar's test {_listed(others)} "
        f"{'does' if len(others) == 1 else 'do'} not differ from it (p at least "
        f"{SIGNIFICANCE:g}), so AUC decides, then size: "
    )
    rivals = [c for c in finalists if c is not winner]
    equal = [c for c in rivals if _by_auc(c)[0] == _by_auc(winner)[0]]
    text += f"{winner.name} has AUC {winner.metrics.auc.value:.3f}"
    if equal:
        return text + (
            f", the same as {_listed([c.name for c in equal])}, and fewer parameters "
            f"({winner.parameters:,} against {_listed([f'{c.parameters:,}' for c in equal])})."
        )
    return text + f", {rivals[0].name} {rivals[0].metrics.auc.value:.3f}."


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
