import shutil
from pathlib import Path
from typing import Any

import pytest

import cxr_edge_models


def test_whole_bundle_is_verified_file_by_file(cxr_edge: Any) -> None:
    outcome = cxr_edge("verify")
    assert outcome.code == 0, outcome.err
    names = [line.split()[1] for line in outcome.out.splitlines()[:-1]]
    assert names == ["bundle.json", "MODEL_CARD.md", "gate.npz", "model.tflite", "selftest.npz"]
    assert outcome.out.splitlines()[-1].startswith("whole: mobilenetv2-int8 ")


@pytest.mark.parametrize("name", ["gate.npz", "selftest.npz", "model.tflite", "MODEL_CARD.md"])
def test_one_changed_bit_is_found(cxr_edge: Any, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(cxr_edge_models.path(cxr_edge_models.DEFAULT), folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    outcome = cxr_edge("verify", folder)
    assert outcome.code == 1
    assert outcome.out == ""
    assert f"{name}: differs from its recorded SHA-256" in outcome.err
