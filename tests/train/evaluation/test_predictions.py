from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.errors import DatasetError, EngineError
from cxr_edge_runtime.images import GreyImage
from cxr_edge_train.dataset.metadata import read_metadata, read_splits
from cxr_edge_train.evaluation.bundle_subject import BundleSubject
from cxr_edge_train.evaluation.predictions import predict, prediction_table
from cxr_edge_train.evaluation.subject import Answers
from cxr_edge_train.statistics.operating_point import OperatingPoint


@pytest.fixture
def rows(trained: Any) -> pd.DataFrame:
    table = read_splits(trained.splits, read_metadata(trained.metadata))
    return table[table["split"] == "validation"].iloc[::40]


@pytest.fixture
def subject(golden_bundle: Path) -> BundleSubject:
    return BundleSubject(Bundle.load(golden_bundle))


def test_prediction_is_what_classify_says(
    rows: pd.DataFrame, subject: BundleSubject, golden_bundle: Path, trained: Any
) -> None:
    predictions, _ = predict(subject, rows, root=trained.root)
    assert list(predictions.columns) == [
        "path", "label", "kind", "patient", "logit", "probability", "decision", "distance",
        "verdict",
    ]  # fmt: skip
    classifier = Classifier(Bundle.load(golden_bundle))
    for row in predictions.itertuples():
        said = classifier.classify(trained.root / row.path)
        assert (row.decision, row.logit) == (said.label, said.logit)
        assert row.verdict == said.gate.verdict
        assert row.probability == pytest.approx(said.probability, abs=1e-12)


def test_no_images_are_an_error(rows: pd.DataFrame, subject: BundleSubject, trained: Any) -> None:
    with pytest.raises(DatasetError, match="no images in this split"):
        predict(subject, rows.iloc[:0], root=trained.root)


def test_changed_image_is_an_error(
    rows: pd.DataFrame, subject: BundleSubject, trained: Any
) -> None:
    with pytest.raises(DatasetError, match="changed since it was cleaned"):
        predict(subject, rows.assign(md5="0"), root=trained.root)


def test_image_without_a_logit_is_named(
    rows: pd.DataFrame, subject: BundleSubject, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(films: Iterable[GreyImage]) -> Answers:
        return Answers(np.array([np.nan if n == 1 else 0.0 for n, _ in enumerate(films)]))

    monkeypatch.setattr(subject, "answers", broken)
    with pytest.raises(EngineError, match=rows["path"].iloc[1]):
        predict(subject, rows, root=trained.root)


def test_film_at_which_the_engine_fails_is_named(
    rows: pd.DataFrame, subject: BundleSubject, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(films: Iterable[GreyImage]) -> Answers:
        next(iter(films))
        raise EngineError("no memory")

    monkeypatch.setattr(subject, "answers", failing)
    with pytest.raises(EngineError, match=f"{rows['path'].iloc[0]}: no memory"):
        predict(subject, rows, root=trained.root)


def test_probability_at_the_threshold_is_pneumonia() -> None:
    table = pd.DataFrame({"path": ["a"], "label": ["NORMAL"], "kind": ["normal"], "patient": [""]})
    predictions = prediction_table(
        table, np.array([0.0]), OperatingPoint(2.0, 0.5, "a rule", "validation")
    )
    assert predictions["decision"].tolist() == ["PNEUMONIA"]
