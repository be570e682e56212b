"""Logits of a float model that separates 200 images of each label, for tests of verification."""

import numpy as np
import pandas as pd

from cxr_edge_convert.verification import FloatBaseline
from cxr_edge_train.statistics.operating_point import OperatingPoint

N = 200
TABLE = pd.DataFrame(
    {
        "path": [f"{number}.png" for number in range(2 * N)],
        "label": ["PNEUMONIA"] * N + ["NORMAL"] * N,
        "patient": [str(number) for number in range(2 * N)],
    }
)
FLOAT = np.where(TABLE["label"] == "PNEUMONIA", 2.0, -2.0)


def reference(table: pd.DataFrame = TABLE, logits: np.ndarray = FLOAT) -> FloatBaseline:
    """A float model with threshold one half and temperature 1."""
    return FloatBaseline.of(table, logits, OperatingPoint(1.0, 0.5, "a rule", "validation"))
