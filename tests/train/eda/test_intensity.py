import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxr_edge_train.eda.intensity import intensity_histograms, read_intensities


@pytest.fixture
def flat(rows: Any, tmp_path: Path) -> pd.DataFrame:
    """Four normal films of grey 10, two of pneumonia of grey 200 with one black row of 64."""
    table = rows(*[("train", "NORMAL", "")] * 4, *[("train", "PNEUMONIA", "")] * 2)
    digests = []
    for path, label in zip(table["path"], table["label"]):
        pixels = np.full((64, 64), 10 if label == "NORMAL" else 200, dtype=np.uint8)
        if label == "PNEUMONIA":
            pixels[0] = 0
        Image.fromarray(pixels).save(tmp_path / path)
        content = (tmp_path / path).read_bytes()
        digests.append(hashlib.md5(content, usedforsecurity=False).hexdigest())
    return table.assign(md5=digests)


def test_at_most_so_many_of_each_label_are_read(flat: pd.DataFrame, tmp_path: Path) -> None:
    read = read_intensities(flat, per_label=3, root=tmp_path)
    assert list(read.rows["label"]) == ["NORMAL"] * 3 + ["PNEUMONIA"] * 2
    assert read.available == {"NORMAL": 4, "PNEUMONIA": 2}
    assert read.histograms.shape == (5, 256)
    assert np.allclose(read.histograms.sum(axis=1), 1)
    assert read.histograms[0, 10] == 1
    assert read.histograms[4, 0] == 1 / 64


def test_page_says_how_many_were_read_of_how_many(flat: pd.DataFrame, tmp_path: Path) -> None:
    read = read_intensities(flat, per_label=3, root=tmp_path)
    section = intensity_histograms(read, tmp_path / "f.png")
    normal, pneumonia = section.tables[0].rows
    assert normal == ["NORMAL", "3 of 4", "3", "10.0 ± 0.0", "0.0", "0.00%", "0.00%"]
    assert pneumonia[1] == "2 of 2"
    assert pneumonia[3] == f"{200 * 63 / 64:.1f} ± 0.0"
    assert pneumonia[5] == f"{1 / 64:.2%}"
    assert section.pictures[0].file.exists()
