import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxr_edge_convert.locator import train_locator as module
from cxr_edge_train.locator.fit import SETTINGS
from locators import blind_network, small_network


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch, outlined: Any, tmp_path: Path) -> list[object]:
    monkeypatch.setattr(module, "build_locator", small_network)
    monkeypatch.setattr(module, "SETTINGS", replace(SETTINGS, batch_size=50, epochs=1))
    return [
        "train-locator", outlined.metadata, "--splits", outlined.splits, "--masks", outlined.masks,
        "--weights", "none", "-o", tmp_path / "locator",
    ]  # fmt: skip


def test_epochs_metrics_by_label_and_conversions_are_printed(
    cxr_edge: Any, arguments: list[object], tmp_path: Path
) -> None:
    outcome = cxr_edge(*arguments)
    assert outcome.code == 0, outcome.err
    assert re.search(r"^epoch 1 of 1  loss \d\.\d{3}  val Dice 0\.9\d\d  ", outcome.err, re.M)
    lines = outcome.out.splitlines()
    assert lines[0] == "trained on 100 films, measured on 20 of validation"
    assert re.fullmatch(
        r"NORMAL +n = 10  Dice 0\.9\d\d  box error \d\.\d\d cells of 32 .*", lines[1]
    )
    assert lines[2].strip() == "no lungs found 0.000 [0.000, 0.278]"
    assert lines[3].strip() == "98% of the lungs in the box 1.000 [0.722, 1.000]"
    assert "the box is 1.1 times as wide and high as the lungs" in lines
    for name in ("locator.tflite", "locator.onnx"):
        assert re.search(
            rf"^{name} +\d+ bytes  Dice to Keras 1\.0000  moved .*, in 0 at all  ",
            outcome.out,
            re.M,
        )
    assert lines[-1] == f"wrote {tmp_path / 'locator'}"


def test_locator_that_misses_the_lungs_ends_with_4(
    cxr_edge: Any, arguments: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "build_locator", lambda weights: blind_network())
    outcome = cxr_edge(*arguments)
    assert outcome.code == 4
    assert outcome.out == ""
    assert "the box covers 98% of the lungs in only 0.0% of" in outcome.err
    assert not (tmp_path / "locator" / "locator.json").exists()


def test_films_without_a_mask_are_a_warning(
    cxr_edge: Any, arguments: list[object], tmp_path: Path, outlined: Any
) -> None:
    masks = Path(shutil.copytree(outlined.masks, tmp_path / "masks"))
    min((masks / "PNEUMONIA").iterdir()).unlink()
    arguments[arguments.index(outlined.masks)] = masks
    outcome = cxr_edge(*arguments)
    assert "warning: 1 film without a mask that shows lung left out" in outcome.err


def test_masks_are_needed(cxr_edge: Any, arguments: list[object]) -> None:
    outcome = cxr_edge(*arguments[:4])
    assert outcome.code == 2
    assert "--masks" in outcome.err
