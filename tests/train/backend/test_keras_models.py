from pathlib import Path

import keras
import pytest

from cxr_edge_runtime.errors import RunError
from cxr_edge_train.backend.keras_models import load_keras, why_not_loaded
from tiny_model import tiny_model


@pytest.mark.parametrize("damage", ["cut", "changed", "missing"])
def test_damaged_file_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "model.keras"
    tiny_model().save(file)
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    else:
        middle = content.index(b"model.weights.h5") + 2000
        content[middle : middle + 50] = b"x" * 50
        file.write_bytes(content)
    with pytest.raises(RunError, match=r"model\.keras: cannot be loaded .*; train again$"):
        load_keras(file, compiled=False, advice="train again")


def test_advice_to_run_the_code_of_a_file_is_not_passed_on(tmp_path: Path) -> None:
    """Neither where the layer is the model's own nor in a model in it."""
    image = keras.Input((4,))
    model = keras.Model(image, keras.layers.Lambda(lambda x: x * 2)(image))
    nested = keras.Sequential([keras.Input((4,)), keras.Sequential([model])])
    for number, saved in enumerate((model, nested)):
        saved.save(tmp_path / f"{number}.keras")
        with pytest.raises(RunError) as caught:
            load_keras(tmp_path / f"{number}.keras", compiled=False, advice="train again")
        assert str(caught.value).endswith(
            "cannot be loaded (it contains Python code, which is not run); train again"
        )


@pytest.mark.parametrize(
    ("said", "passed_on"), [("wrong\nand more", "wrong"), ("", "ValueError('')")]
)
def test_reason_is_one_line(said: str, passed_on: str) -> None:
    assert why_not_loaded(ValueError(said)) == passed_on
