import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cleaning_report import report
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_train.cleaning.clean import clean
from cxr_edge_train.eda import exploration
from cxr_edge_train.eda.exploration import Exploration, eda
from synthetic import draw_dataset


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    draw_dataset(tmp_path / "data", patients=4, test_patients=2)
    clean(tmp_path / "data", tmp_path / "m.csv")
    (tmp_path / "m.report.json").unlink(missing_ok=True)
    return tmp_path / "m.csv"


def run(metadata: Path, output: Path, **choices: Any) -> Exploration:
    return eda(metadata, output, **choices)


def samples(html: str) -> list[str]:
    return re.findall(r"<td[^>]*>(data/[^<]*)</td>", html)


def write_report(metadata: Path) -> None:
    kept = [
        (split, label, count)
        for split, count in (("train", 8), ("test", 4))
        for label in ("NORMAL", "PNEUMONIA")
    ]
    values = report(kept, features={"width": 0.9}, verdict="alarm")
    metadata.with_suffix(".report.json").write_text(json.dumps(values))


def test_page_holds_every_figure_and_the_notice(metadata: Path, tmp_path: Path) -> None:
    write_report(metadata)
    result = run(metadata, tmp_path / "eda")
    assert result.page == tmp_path / "eda" / "eda.html"
    html = result.page.read_text()
    assert NOTICE in html
    assert html.count('<img src="data:image/png') == len(result.figures)
    assert re.findall(r"(?:src|href)=\"(?!data:|#)", html) == []
    assert {*result.figures, result.page} == set((tmp_path / "eda").iterdir())
    assert {file.name for file in result.figures} == {
        "aspect_ratios.png", "augmentation.png", "class_counts.png", "images_per_patient.png",
        "intensities.png", "samples_normal.png", "samples_pneumonia.png", "shortcuts.png",
        "sizes.png",
    }  # fmt: skip
    assert result.warnings == ("Verdict: alarm. Words about shortcuts.",)


def test_no_test_image_is_read_or_shown(
    metadata: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (tmp_path / "data" / "test").rglob("*.png"):
        path.unlink()
    monkeypatch.setattr(exploration, "INTENSITY_IMAGES", 3)
    html = run(metadata, tmp_path / "eda").page.read_text()
    assert "data/test" not in html
    assert "no pixel of test was read" in html
    assert re.search(r">3 of 8</td><td[^>]*>3</td>", html)  # how many were sampled


def test_same_inputs_give_the_same_bytes_and_another_seed_other_samples(
    metadata: Path, tmp_path: Path
) -> None:
    first, again, other = (run(metadata, tmp_path / str(i), seed=i // 2) for i in range(3))
    for one, two in zip([first.page, *first.figures], [again.page, *again.figures]):
        assert one.read_bytes() == two.read_bytes()
    assert samples(first.page.read_text()) != samples(other.page.read_text())


def test_figure_of_an_earlier_exploration_does_not_stay(metadata: Path, tmp_path: Path) -> None:
    old = tmp_path / "eda" / "shortcuts.png"
    old.parent.mkdir()
    for file in (old, old.with_name("eda.html")):
        file.write_text("<!doctype html>")
    result = run(metadata, tmp_path / "eda")
    assert {*result.figures, result.page} == set((tmp_path / "eda").iterdir())
    assert "m.report.json is missing; run cxr-edge clean again." in result.page.read_text()


def test_missing_image_is_named_before_anything_is_written(metadata: Path, tmp_path: Path) -> None:
    gone = tmp_path / "data" / "train" / "NORMAL" / "IM-0000-0000.png"
    gone.unlink()
    with pytest.raises(DatasetError, match=f"^{gone}: no such file; "):
        run(metadata, tmp_path / "eda")
    assert not (tmp_path / "eda").exists()


def test_changed_image_is_named(metadata: Path, tmp_path: Path) -> None:
    changed = tmp_path / "data" / "train" / "NORMAL" / "IM-0000-0000.png"
    Image.new("L", (64, 64)).save(changed)
    with pytest.raises(DatasetError, match=f"^{changed}: changed since it was cleaned"):
        run(metadata, tmp_path / "eda")


def test_label_with_test_images_alone_is_refused(metadata: Path, tmp_path: Path) -> None:
    lines = metadata.read_text().splitlines(keepends=True)
    metadata.write_text("".join(line for line in lines if ",train,NORMAL" not in line))
    with pytest.raises(DatasetError, match="no NORMAL images outside test"):
        run(metadata, tmp_path / "eda")


def test_output_that_is_a_file_is_wrong_usage(metadata: Path) -> None:
    with pytest.raises(InvalidRequest, match="is a file, not a folder"):
        run(metadata, metadata)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"metadata": None}, "metadata must be a path"),
        ({"output": 5}, "output must be a path"),
        ({"root": 5}, "root must be a path"),
        ({"recipe": 5}, "recipe must be a path"),
        ({"recipe": "absent.toml"}, "absent.toml: no such recipe"),
        ({"seed": 2**32}, "seed must be a whole number"),
    ],
)
def test_wrong_argument_of_eda_is_refused(
    metadata: Path, tmp_path: Path, choices: Any, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        eda(**{"metadata": metadata, "output": tmp_path / "eda", **choices})
    assert not (tmp_path / "eda").exists()


def test_paths_of_eda_may_be_text_and_nothing_is_printed(
    metadata: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "small.toml").write_text("[model]\nimage_size = 48\n")
    result = eda(
        str(metadata), str(tmp_path / "eda"), recipe=str(tmp_path / "small.toml"),
        root=str(tmp_path),
    )  # fmt: skip
    assert "Recipe: small.toml." in result.page.read_text()
    assert result.notice == NOTICE
    assert capfd.readouterr() == ("", "")
