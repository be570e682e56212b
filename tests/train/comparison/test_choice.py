from dataclasses import asdict, replace
from typing import Any

import pytest

from candidates import candidate
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.comparison.choice import choose, read_candidate


def test_highest_recall_wins_where_the_others_differ() -> None:
    good = candidate("good", wrong=[100])
    bad = candidate("bad", wrong=list(range(100, 130)), auc=0.99)
    choice = choose([bad, good])
    assert choice.winner is choice.leader is good
    assert choice.finalists == (good,)
    assert choice.p_values["bad"] < 0.05
    assert "good has the highest validation recall, 0.990" in choice.reason
    assert "Every other candidate's decisions differ" in choice.reason


def test_rival_that_does_not_differ_wins_by_auc() -> None:
    leader = candidate("leader", wrong=[100], auc=0.95)
    rival = candidate("rival", wrong=[100, 101], auc=0.96)
    choice = choose([leader, rival])
    assert choice.winner is rival
    assert choice.leader is leader
    assert choice.finalists == (rival, leader)
    assert "rival does not differ" in choice.reason
    assert "rival has AUC 0.960, leader 0.950." in choice.reason


def test_equal_auc_goes_to_the_smaller() -> None:
    big = candidate("big", wrong=[100], auc=0.9501, parameters=2_000)
    small = candidate("small", wrong=[101], auc=0.9499, parameters=1_000)
    choice = choose([big, small])
    assert choice.winner is small
    assert "fewer parameters (1,000 against 2,000)" in choice.reason


def test_order_of_the_candidates_changes_nothing() -> None:
    made = [
        candidate("a", wrong=[100], auc=0.95),
        candidate("b", wrong=[101], auc=0.97, parameters=5),
        candidate("c", wrong=list(range(100, 140))),
    ]
    names = {choose(order).winner.name for order in (made, made[::-1])}
    assert names == {"b"}


def test_choice_among_one_says_so() -> None:
    choice = choose([candidate("only", wrong=[100])])
    assert choice.finalists == (choice.winner,)
    assert choice.reason.endswith("It is the only candidate.")


def test_runs_on_other_images_cannot_be_compared() -> None:
    one, other = candidate("a", wrong=[]), candidate("b", wrong=[])
    other = replace(other, run=replace(other.run, dataset_digest="another"))
    with pytest.raises(InvalidRequest, match="only if they share images and splits"):
        choose([one, other])


def test_candidate_is_read_from_its_run(trained: Any) -> None:
    read = read_candidate(trained.run, parameters=1_000, min_specificity=0.9)
    assert read.name == "tiny"
    assert read.megabytes == pytest.approx(0.004)
    assert read.specificity.value >= 0.9
    negatives, positives = read.correct[read.labels == 0], read.correct[read.labels == 1]
    assert negatives.mean() == pytest.approx(read.specificity.value)
    assert positives.mean() == pytest.approx(read.recall.value)
    recorded = read.run.metrics["validation"]
    for name, metric in read.metrics.by_name().items():
        # Text holds the logits to nine digits.
        assert asdict(metric) == pytest.approx(asdict(recorded[name]), abs=1e-6)
    assert read.images_per_second > 0
