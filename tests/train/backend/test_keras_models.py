from pathlib import Path

import pytest

from cxr_edge_runtime.errors import RunError
from cxr_edge_train.backend.keras_models import load_keras
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
