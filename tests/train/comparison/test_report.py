from dataclasses import replace
from pathlib import Path

import pytest

from candidates import candidate
from cxr_edge_train.comparison.choice import choose
from cxr_edge_train.comparison.report import write_comparison


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (("none", "none"), "All networks started from random weights."),
        (("imagenet", "own.h5"), "Pretrained: one from imagenet, two from own.h5. Trained and"),
        (
            ("none", "imagenet"),
            "Pretrained: two from imagenet. From random weights: one. Differences between the two "
            "groups are due to the initial weights as much as to the architecture.",
        ),
    ],
)
def test_where_the_networks_began_is_said(
    tmp_path: Path, weights: tuple[str, str], words: str
) -> None:
    candidates = []
    for name, start in zip(("one", "two"), weights):
        made = candidate(name, wrong=[100], auc=0.995)
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.keras").touch()
        candidates.append(replace(made, run=replace(made.run, folder=folder, weights=start)))
    write_comparison(tmp_path / "out", candidates, choose(candidates), {})
    text = " ".join((tmp_path / "out" / "comparison.md").read_text().split())
    assert words in text
