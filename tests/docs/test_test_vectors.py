"""docs/reference/test-vectors: made again, and reached by the page's pseudocode alone."""

import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

from scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference" / "test-vectors"
VECTORS = json.loads((FOLDER / "vectors.json").read_text(encoding="utf-8"))
# Kernels for other processors round otherwise.
LOGIT = 0.2


def test_vectors_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = load_script("docs/tools/make_test_vectors.py")
    names = [name for name, _ in tool.drawings()]
    assert names == list(VECTORS["files"])
    for name in names:
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    found = tool.vectors(tmp_path)
    assert found["files"] == VECTORS["files"]
    for name, bundle in found["bundles"].items():
        stated = VECTORS["bundles"][name]
        assert bundle | {"answers": None} == stated | {"answers": None}
        for file, answer in bundle["answers"].items():
            expected = stated["answers"][file]
            assert answer["logit"] == pytest.approx(expected["logit"], abs=LOGIT)
            assert (answer["label"], answer["verdict"]) == (expected["label"], expected["verdict"])
    for name in names:
        kept = np.asarray(Image.open(FOLDER / "inputs" / f"{name}.png"))
        assert hashlib.sha256(kept.tobytes()).hexdigest() == VECTORS["files"][name]["input_sha256"]


def test_drawings_are_the_tools() -> None:
    tool = load_script("docs/tools/make_test_vectors.py")
    for name, content in tool.drawings():
        kept = (FOLDER / name).read_bytes()
        if name.endswith(".dcm"):
            assert content == kept
            continue
        # An encoder of another version may write other bytes.
        both = [np.asarray(Image.open(io.BytesIO(data)), np.int32) for data in (content, kept)]
        assert np.abs(both[0] - both[1]).max() <= 3, name


# --- what follows is the page's pseudocode, line by line, without any code of cxr-edge -----------


def grey(file: Path) -> np.ndarray:
    if file.suffix == ".dcm":
        film = pydicom.dcmread(file)
        v = film.RescaleSlope * film.pixel_array.astype(float) + film.RescaleIntercept
        c, w = film.WindowCenter, film.WindowWidth
        shown = np.clip((v - (c - 0.5)) / (w - 1) + 0.5, 0, 1)
        if film.PhotometricInterpretation == "MONOCHROME1":
            shown = 1 - shown
        return np.round(255 * shown).astype(np.uint8)
    image = Image.open(file)
    image.draft("L", (320, 320))
    image = ImageOps.exif_transpose(image)
    pixels = np.asarray(image)
    if pixels.dtype == np.uint16:
        return np.round(pixels * (255 / 65535)).astype(np.uint8)
    if image.mode == "RGB":
        r, g, b = np.moveaxis(pixels.astype(np.int64), -1, 0)
        return ((19595 * r + 38470 * g + 7471 * b + 32768) >> 16).astype(np.uint8)
    if image.mode == "LA":
        light, alpha = np.moveaxis(pixels.astype(np.int64), -1, 0)
        return (light * alpha // 255).astype(np.uint8)
    return pixels


def bicubic(image: np.ndarray, **options: Any) -> np.ndarray:
    resized = Image.fromarray(image).resize((128, 128), Image.Resampling.BICUBIC, **options)
    return np.asarray(resized)


def run(model: Path, view: np.ndarray) -> dict[tuple[int, ...], np.ndarray]:
    """The outputs by their shapes, since the names in the files differ."""
    interpreter = Interpreter(model_path=str(model))
    interpreter.allocate_tensors()
    [entry] = interpreter.get_input_details()
    interpreter.set_tensor(entry["index"], view[np.newaxis, :, :, np.newaxis])
    interpreter.invoke()
    return {
        tuple(output["shape"]): interpreter.get_tensor(output["index"])
        for output in interpreter.get_output_details()
    }


def groups_of(cells: np.ndarray) -> list[list[tuple[int, int]]]:
    left, groups = set(zip(*np.nonzero(cells))), []
    while left:
        group, edge = [], [left.pop()]
        while edge:
            row, column = edge.pop()
            group.append((row, column))
            sides = ((1, 0), (-1, 0), (0, 1), (0, -1))
            for beside in ((row + down, column + along) for down, along in sides):
                if beside in left:
                    left.remove(beside)
                    edge.append(beside)
        groups.append(group)
    return groups


def ends(sums: np.ndarray) -> tuple[float, float]:
    def crossing(values: np.ndarray) -> float:
        i = next(i for i, value in enumerate(values) if value >= 1)
        before = values[i - 1] if i else 0.0
        return max(0.0, i - 0.5 + (1 - before) / (values[i] - before))

    first, last = crossing(sums), 32 - crossing(sums[::-1])
    return math.floor(first * 32) / 1024, math.ceil(last * 32) / 1024


def box(image: np.ndarray, locator: Path, margin: float) -> dict[str, float] | None:
    view = bicubic(image, reducing_gap=2.0)
    if view.std() < 1:
        return None
    mask = run(locator, view.astype(np.float32))[(1, 32, 32, 1)][0, :, :, 0]
    groups = groups_of(mask > 0)
    largest = max(map(len, groups), default=0)
    lung = np.zeros((32, 32))
    for group in groups:
        if len(group) >= 0.2 * max(24, largest):
            for cell in group:
                lung[cell] = math.tanh(float(mask[cell]) / 2)
    if lung.sum() < 24:
        return None
    (left, right), (top, bottom) = ends(lung.sum(axis=0)), ends(lung.sum(axis=1))
    wider, higher = ((margin - 1) / 2 * side for side in (right - left, bottom - top))
    return {
        "left": max(0.0, left - wider), "top": max(0.0, top - higher),
        "right": min(1.0, right + wider), "bottom": min(1.0, bottom + higher),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["mobilenetv2-int8", "tiny"])
@pytest.mark.parametrize("file", VECTORS["files"])
def test_pseudocode_alone_gives_the_vectors(name: str, file: str) -> None:
    bundle, stated = VECTORS["bundles"][name], VECTORS["files"][file]
    folder = ROOT / "models" / "cxr_edge_models" / name
    image = grey(FOLDER / file)
    assert dict(zip(("height", "width"), image.shape)) == stated["grey"]
    found = box(image, folder / bundle["locator"]["file"], bundle["locator"]["margin"])
    assert found == (stated["box"] and pytest.approx(stated["box"], abs=1e-9))
    height, width = image.shape
    around = found or {"left": 0, "top": 0, "right": 1, "bottom": 1}
    sides = (
        around["left"] * width, around["top"] * height,
        around["right"] * width, around["bottom"] * height,
    )  # fmt: skip
    view = bicubic(image, box=sides)
    assert hashlib.sha256(view.tobytes()).hexdigest() == stated["input_sha256"]
    signed = (view.astype(np.int16) - 128).astype(np.int8)
    logit = float(run(folder / bundle["model"]["file"], signed)[(1, 1)][0, 0])
    answer = bundle["answers"][file]
    assert logit == pytest.approx(answer["logit"], abs=LOGIT)
    probability = 1 / (1 + math.exp(-(logit + bundle["bias"]) / bundle["temperature"]))
    assert (probability >= bundle["threshold"]) == (answer["label"] == bundle["labels"][1])
    if found is None:
        assert answer["verdict"] == "rejected"
