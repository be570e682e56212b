import json
from pathlib import Path

import numpy as np
import pandas as pd

from cxr_edge_convert.limits import Limits
from cxr_edge_convert.report import write_report
from cxr_edge_convert.verification import verify


def test_report_names_verdict_figures_and_flipped_films(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "path": [f"train/{number}.png" for number in range(300)],
            "label": ["PNEUMONIA"] * 200 + ["NORMAL"] * 100,
            "patient": [str(number) for number in range(300)],
        }
    )
    before = np.where(table["label"] == "PNEUMONIA", 2.0, -2.0)
    after = before.copy()
    after[:5] = -2.0
    limits = Limits()
    exact, worse = (
        verify(before, logits, table, temperature=1.0, threshold=0.5, limits=limits)
        for logits in (before, after)
    )
    write_report(tmp_path, {"float32": (1000, exact), "int8": (250, worse)}, limits)

    content = json.loads((tmp_path / "report.json").read_text())
    assert content["schema_version"] == 1
    assert content["variants"]["float32"]["passed"] is True
    assert content["variants"]["int8"]["passed"] is False
    assert content["variants"]["int8"]["bytes"] == 250
    assert len(content["variants"]["int8"]["flipped"]) == 5

    text = (tmp_path / "report.md").read_text()
    assert "| int8 | 250 | 0.975" in text
    assert "recall fell by 0.0250, the limit is 0.01" in text
    assert "## int8: 5 decisions changed" in text
    assert "| 0.png | 0.881 | 0.119 |" in text
