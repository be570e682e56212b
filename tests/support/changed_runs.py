"""Runs whose images are others than those they were made with, and which say so."""

import json
from pathlib import Path

import pandas as pd

from cxr_edge_train.dataset.metadata import dataset_digest


def write_dataset(run: Path, table: pd.DataFrame) -> None:
    """Replace the table of a run's images, and the digest by which a change is noticed."""
    table.to_csv(run / "dataset.csv", index=False)
    values = json.loads((run / "run.json").read_text())
    values["dataset_digest"] = dataset_digest(table)
    (run / "run.json").write_text(json.dumps(values))
