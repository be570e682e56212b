from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cxr_edge_runtime.errors import UnreadableImage
from scripts import load_script

gate_verdicts = load_script("models/release/gate_verdicts.py")


class ByName:
    """A classifier whose gate goes by the name of the file."""

    def classify(self, image: Path) -> Any:
        if image.stem == "damaged":
            raise UnreadableImage("damaged")
        return SimpleNamespace(gate=SimpleNamespace(verdict=image.stem, reasons=(image.stem,)))


def test_verdicts_reasons_and_damaged_files_are_counted() -> None:
    names = ("accepted", "rejected", "rejected", "damaged")
    assert gate_verdicts.verdicts(ByName(), [Path(f"{name}.png") for name in names]) == {
        "accepted": 1,
        "suspicious": 0,
        "rejected": 2,
        "unreadable": 1,
        "reasons": {"rejected": 2, "accepted": 1},
    }
