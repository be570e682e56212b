"""Run the code of docs/saving-models.md."""

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import small_fit

PAGE = Path(__file__).parents[2] / "docs" / "saving-models.md"


def test_every_block_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = small_fit.tiny_model()
    pixels, labels = small_fit.films()
    model.compile("adam", {"logit": keras.losses.BinaryCrossentropy(from_logits=True)})
    model.train_on_batch(
        {"image": pixels.astype(np.float32)}, {"logit": labels[:, np.newaxis].astype(np.float32)}
    )
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, Any] = {"model": model, "keras": keras}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    assert (tmp_path / "i-was-here.txt").exists()
    assert names["same_model"] is not model
    inside = keras.models.load_model(tmp_path / "inside.keras")
    assert [layer.name for layer in inside.layers] == [layer.name for layer in model.layers]
    moments = [np.abs(np.asarray(v)).max() for v in names["same_model"].optimizer.variables]
    assert len(moments) > 2
    assert max(moments) > 0
