import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.writers.heatmaps import HeatmapWriter
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier, Prediction
from cxr_edge_runtime.errors import InvalidRequest
from locators import TWO_LUNGS, drawn_film, located_bundle


def test_model_without_a_map_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    bundle = load_bundle("tiny")
    blind = replace(bundle, manifest=replace(bundle.manifest, outputs=("embedding", "logit")))
    with pytest.raises(InvalidRequest, match="the model of this bundle gives no activation map"):
        HeatmapWriter(tmp_path / "maps", blind)
    assert not (tmp_path / "maps").exists()


def test_folder_that_cannot_be_written_is_refused_at_once() -> None:
    with pytest.raises(InvalidRequest, match=r"^/proc/maps: cannot be written \(/proc: "):
        HeatmapWriter(Path("/proc/maps"), load_bundle("tiny"))


def test_film_that_the_gate_rejects_has_no_picture_and_that_is_no_failure(tmp_path: Path) -> None:
    bundle = load_bundle("tiny")
    image = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)).save(image)
    prediction = Classifier(bundle).classify(image)
    assert prediction.gate.verdict == "rejected"
    writer = HeatmapWriter(tmp_path / "maps", bundle)
    assert writer.write(image, prediction) is None
    assert not list((tmp_path / "maps").iterdir())


def test_film_that_changed_since_it_was_classified_has_no_picture(tmp_path: Path) -> None:
    image, prediction, writer = classified(tmp_path / "film.png", drawn_film(*TWO_LUNGS))
    Image.new("L", (300, 300)).save(image)
    assert writer.write(image, prediction) == f"{image}: changed while it was classified"
    assert not list((tmp_path / "maps").iterdir())


def test_only_a_picture_of_our_own_is_replaced(tmp_path: Path) -> None:
    image, maps = tmp_path / "film.png", tmp_path / "maps"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)).save(image)
    bundle = load_bundle("tiny")
    prediction = Classifier(bundle).classify(image, force=True, hashed=True)
    writer = HeatmapWriter(maps, bundle)
    assert writer.write(image, prediction) is None
    [picture] = maps.rglob("*.png")
    with Image.open(picture) as written:
        assert written.info["Film"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert writer.write(image, prediction) is None
    foreign = PngInfo()
    foreign.add_text("Film", "0" * 64)
    for info in (PngInfo(), foreign):
        Image.new("RGB", (9, 9)).save(picture, pnginfo=info)
        before = picture.read_bytes()
        refused = writer.write(image, prediction)
        assert refused == (
            f"{picture}: already exists and is not a heat map of this image; choose another output"
        )
        assert picture.read_bytes() == before


def classified(image: Path, film: NDArray[np.uint8]) -> tuple[Path, Prediction, HeatmapWriter]:
    """A film in a file, what a bundle with a locator says of it, and the writer of its picture."""
    Image.fromarray(film).save(image, quality=95)
    bundle = Bundle.load(located_bundle(image.parent / "tiny"))
    writer = HeatmapWriter(image.parent / "maps", bundle)
    return image, Classifier(bundle).classify(image, force=True, hashed=True), writer


def test_map_of_a_bundle_with_a_locator_lies_on_the_lungs(tmp_path: Path) -> None:
    image, prediction, writer = classified(tmp_path / "film.png", drawn_film(*TWO_LUNGS))
    assert writer.write(image, prediction) is None
    [picture] = (tmp_path / "maps").rglob("*.png")
    pixels = np.asarray(Image.open(picture)).astype(int)[:512]
    rows, columns = np.nonzero(pixels[..., 0] != pixels[..., 2])
    assert prediction.box is not None
    found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert found == pytest.approx(prediction.box.in_pixels(512, 512), abs=1)


def test_picture_of_a_large_jpeg_is_larger_than_what_the_model_was_shown(tmp_path: Path) -> None:
    film = np.asarray(Image.fromarray(drawn_film(*TWO_LUNGS)).resize((2000, 2000))).copy()
    # Lines that are gone where a film is reduced to a quarter.
    film[:, ::4] = 0
    image, prediction, writer = classified(tmp_path / "film.jpeg", film)
    assert writer.write(image, prediction) is None
    [picture] = (tmp_path / "maps").rglob("*.png")
    with Image.open(picture) as written:
        edge = np.asarray(written.convert("L")).astype(int)[:1000, :20]
    assert np.abs(np.diff(edge, axis=1)).mean() > 40


def test_film_that_is_gone_has_no_picture_and_that_is_said(tmp_path: Path) -> None:
    image, prediction, writer = classified(tmp_path / "film.png", drawn_film(*TWO_LUNGS))
    image.unlink()
    assert writer.write(image, prediction) == f"{image}: no such file"
