import dataclasses
from pathlib import Path
from typing import Any

import pytest

import publish
from card_figures import gathered
from cxr_edge_convert.bundling.model_card import HEADINGS
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import RunError
from cxr_edge_train.runs import read_run
from tiny_model import tiny_model


def test_published_bundle_has_all_figures_and_the_same_model(
    bundle: Bundle, run: Path, measured: Path, log: list[str], tmp_path: Path
) -> None:
    figures = gathered(bundle, run, measured, log)
    target = tmp_path / "shipped" / "small"
    target.parent.mkdir()
    manifest = publish.shipped_manifest(bundle.manifest, "small", figures)
    for _ in range(2):  # the second replaces the first
        publish.publish(bundle, manifest, figures, target)
    shipped = Bundle.load(target)
    assert shipped.manifest.name == "small"
    assert shipped.model == bundle.model
    for name in ("gate.npz", "selftest.npz"):
        assert shipped.read(name) == bundle.read(name)
    assert shipped.manifest.threshold == bundle.manifest.threshold
    assert shipped.manifest.metrics["test"]["auc"].value == 0.8
    assert shipped.manifest.metrics["external_adult"]["auc"].value == 0.81
    card = (target / "MODEL_CARD.md").read_text()
    assert "| test | specificity | 0.900 | 0.800–0.950 | 40 |" in card
    assert "evaluated once for this model, on 2026-01-02" in card
    assert "**9**" in card
    assert "CC BY 4.0" in card
    assert [line[3:] for line in card.splitlines() if line.startswith("## ")] == list(HEADINGS)
    assert list(target.parent.iterdir()) == [target]


def test_same_float_model_is_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "tiny.keras"
    publish.save_float(tiny_model(), file)
    first = file.stat().st_mtime_ns
    publish.save_float(tiny_model(), file)
    assert file.stat().st_mtime_ns == first
    publish.save_float(tiny_model(seed=1), file)
    assert file.stat().st_mtime_ns > first


def test_run_of_another_bundle_is_refused(bundle: Bundle, trained: Any) -> None:
    run = read_run(trained.run)
    publish.check_run(bundle, run)
    with pytest.raises(RunError, match="was not made from this run"):
        point = dataclasses.replace(run.operating_point, threshold=0.123)
        publish.check_run(bundle, dataclasses.replace(run, operating_point=point))
