import csv
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import keras
import pytest

from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_train import architectures
from cxr_edge_train.comparison import plan as comparison_plan
from tiny_model import TINY


@pytest.fixture
def two_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (architectures, comparison_plan):
        monkeypatch.setattr(module, "ARCHITECTURES", {"tiny": TINY, "twin": TINY})


@pytest.fixture
def arguments(trained: Any, tmp_path: Path) -> list[object]:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[model]\nimage_size = 32\n[fit]\nbatch_size = 50\nepochs = 1\n")
    return [
        "compare", trained.metadata, "--splits", trained.splits, "--weights", "none",
        "--recipe", recipe, "-o", tmp_path / "out",
    ]  # fmt: skip


def test_locator_is_passed_on_and_named(
    cxr_edge: Any, two_architectures: None, arguments: list[object], tmp_path: Path
) -> None:
    outcome = cxr_edge(*arguments, "--locator", tmp_path)
    assert outcome.code == 1
    assert f"cut to the box of their lungs by the locator {tmp_path}\n" in outcome.err
    assert "no lung locator here (locator.json is missing)" in outcome.err
    assert not (tmp_path / "out").exists()


def test_comparison_trains_chooses_and_shows_test_figures_from_the_log(
    cxr_edge: Any, two_architectures: None, arguments: list[object], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    outcome = cxr_edge(*arguments)
    assert outcome.code == 0, outcome.err
    assert NOTICE in outcome.out
    chosen = [line for line in outcome.out.splitlines() if line.startswith("* ")]
    assert len(chosen) == 1
    assert re.search(r"recall .* at specificity \d\.\d{3}  correct \d+ of 200  AUC", chosen[0])
    assert outcome.err.splitlines()[0] == "loading TensorFlow"
    assert "for tiny's metrics on test, once: cxr-edge evaluate" in outcome.err
    rows = list(csv.DictReader((output / "comparison.csv").read_text().splitlines()))
    assert [row["architecture"] for row in rows] == ["tiny", "twin"]
    # The same network, data and seed: the same figures, so nothing but the order can decide.
    assert rows[0]["auc"] == rows[1]["auc"]
    assert rows[0]["recall_at_floor"] == rows[1]["recall_at_floor"]
    for figure in ("recall", "size", "roc", "learning"):
        assert (output / "figures" / f"{figure}.png").stat().st_size > 1000
    html = (output / "comparison.html").read_text()
    markdown = (output / "comparison.md").read_text()
    for text in (html, markdown):
        assert NOTICE in text
        assert "Not measured yet." in text
    winner = keras.models.load_model(output / "winner" / "model.keras")
    assert int(winner.optimizer.iterations) > 0
    assert "## Why this one" in (output / "winner" / "MODEL_CARD.md").read_text()

    def reading(name: str, test_digest: str) -> str:
        model = (output / "runs" / name / "model.keras").read_bytes()
        entry = {
            "model_sha256": hashlib.sha256(model).hexdigest(),
            "test_digest": test_digest,
            "metrics": {"auc": {"value": 0.875, "low": 0.8, "high": 0.9, "n": 40}},
        }
        return json.dumps(entry) + "\n"

    log = output / "test-log.jsonl"
    log.write_text(reading("tiny", "one"))
    before = rows
    outcome = cxr_edge(*arguments)
    assert "tiny: trained already" in outcome.err
    assert "for tiny's metrics on test" not in outcome.err
    assert "for twin's metrics on test" in outcome.err
    assert "0.875 [0.800, 0.900]" in (output / "comparison.md").read_text()
    assert list(csv.DictReader((output / "comparison.csv").read_text().splitlines())) == before

    log.write_text(reading("tiny", "one") * 2)
    (output / "comparison.md").unlink()
    outcome = cxr_edge(*arguments)
    assert outcome.code == 1
    assert "tiny was measured on test more than once" in outcome.err
    assert "Not measured yet." in (output / "comparison.md").read_text()
    log.write_text(reading("tiny", "one") + reading("twin", "other"))
    assert "tiny and twin were measured on different test images" in cxr_edge(*arguments).err
    for damaged in ("{\n", "[]\n", reading("tiny", "one").replace('"low"', '"lowest"')):
        log.write_text(damaged)
        assert "test-log.jsonl: line 1 is damaged" in cxr_edge(*arguments).err


def test_weights_that_do_not_fit_are_found_before_training(
    cxr_edge: Any, arguments: list[object], tmp_path: Path
) -> None:
    outcome = cxr_edge(
        *arguments, "--architectures", "pure_cnn,mobilenetv2", "--weights", "mobilenetv2=gone.h5"
    )
    assert outcome.code == 2
    assert "weights gone.h5: no such file" in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_recipes_of_one_architecture_are_two_candidates(
    cxr_edge: Any, two_architectures: None, arguments: list[object], tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text((tmp_path / "recipe.toml").read_text() + "learning_rate = 0.003\n")
    outcome = cxr_edge(*arguments, "--recipe", other, "--architectures", "tiny")
    assert outcome.code == 0, outcome.err
    shown = [line[2:].split()[0] for line in outcome.out.splitlines()[:2]]
    assert shown == ["tiny-recipe", "tiny-other"]
    for name in shown:
        assert f"{name}: training, run {tmp_path / 'out' / 'runs' / name}" in outcome.err
