import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from cxr_edge_runtime.bundle.manifest import NOTICE
from synthetic import draw_dataset


@pytest.fixture
def metadata(cxr_edge: Any, tmp_path: Path) -> Path:
    draw_dataset(tmp_path / "data", patients=2, test_patients=1)
    assert cxr_edge("clean", tmp_path / "data", "-o", tmp_path / "m.csv").code == 0
    return tmp_path / "m.csv"


def test_eda_says_what_it_wrote_and_warns(cxr_edge: Any, metadata: Path, tmp_path: Path) -> None:
    metadata.write_text(metadata.read_text().replace(",IM-0000,", ",,"))
    outcome = cxr_edge("eda", metadata, "-o", tmp_path / "out")
    assert outcome.code == 0
    first, notice, after = outcome.out.splitlines()
    assert first.startswith(f"wrote {tmp_path / 'out' / 'eda.html'} and ")
    assert notice == NOTICE
    assert after == f"next: cxr-edge split {metadata} -o splits.csv"
    assert "warning: The patient of 2 of 12 images is unknown" in outcome.err


def test_recipe_is_shown_and_a_broken_one_is_wrong_usage(
    cxr_edge: Any, metadata: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "strong.toml"
    recipe.write_text("[model]\nimage_size = 48\n[augmentation]\nrotation = 33\n")
    assert cxr_edge("eda", metadata, "-o", tmp_path / "out", "--recipe", recipe).code == 0
    html = (tmp_path / "out" / "eda.html").read_text()
    assert "Recipe: strong.toml." in html
    assert re.search(r">rotation</td><td[^>]*>33</td><td[^>]*>10</td>", html)
    recipe.write_text("[augmentation]\nspin = 1\n")
    outcome = cxr_edge("eda", metadata, "-o", tmp_path / "out", "--recipe", recipe)
    assert outcome.code == 2
    assert "augmentation.spin is not a known field" in outcome.err


def test_root_is_where_the_images_lie(cxr_edge: Any, metadata: Path, tmp_path: Path) -> None:
    shutil.move(tmp_path / "data", tmp_path / "elsewhere" / "data")
    outcome = cxr_edge("eda", metadata, "-o", tmp_path / "out")
    assert outcome.code == 1
    assert outcome.err.endswith(
        ": no such file; if the images were moved, give the folder that the paths in the metadata "
        "are relative to (root)\n"
    )
    assert outcome.err.count("\n") == 1
    arguments = ["eda", metadata, "-o", tmp_path / "out", "--root", tmp_path / "elsewhere"]
    assert cxr_edge(*arguments).code == 0


def test_metadata_spoilt_by_hand_is_one_line(cxr_edge: Any, metadata: Path, tmp_path: Path) -> None:
    metadata.write_text(metadata.read_text().replace(",64,64,", ",wide,64,", 1))
    outcome = cxr_edge("eda", metadata, "-o", tmp_path / "out")
    assert outcome.code == 1
    assert "width 'wide' is not a positive number" in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
