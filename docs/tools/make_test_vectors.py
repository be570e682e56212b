"""Make the test vectors for ports again: ``python docs/tools/make_test_vectors.py``.

A drawing in each format and depth, and what the shipped bundles make of it on the way from file to
verdict. docs/reference/test-vectors.md says how to use them.
"""

import hashlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

import cxr_edge_models
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.locator import Preprocessor

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference" / "test-vectors"
DRAWING = ROOT / "data" / "samples" / "phantom_opacity_lobar.jpeg"
BUNDLES = ("mobilenetv2-int8", "mobilenetv2-onnx-int8", "tiny")
SIZE = (300, 264)
_BITS = 12


def drawings() -> Iterator[tuple[str, bytes]]:
    """Name and content of each file: the drawing in one format and depth each."""
    whole = Image.open(DRAWING).convert("L")
    grey = whole.resize(SIZE, Image.Resampling.LANCZOS)
    colour = Image.merge("RGB", [grey] * 3)
    # 16 bits that are not 8 bits twice.
    deep = np.asarray(whole.resize(SIZE, Image.Resampling.BOX), np.uint16) * 257
    deep += np.arange(SIZE[0], dtype=np.uint16) % 128
    alpha = Image.new("L", SIZE, 255)
    alpha.paste(128, (0, 0, SIZE[0], SIZE[1] // 8))
    exif = Image.Exif()
    exif[274] = 6  # stored turned, as a camera does
    yield "large.jpeg", DRAWING.read_bytes()
    yield "grey.jpeg", _saved(grey, "JPEG", quality=90)
    yield "colour.jpeg", _saved(colour, "JPEG", quality=90)
    yield (
        "turned.jpeg",
        _saved(grey.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=90, exif=exif),
    )
    yield "grey.png", _saved(grey, "PNG")
    yield "grey16.png", _saved(Image.fromarray(deep), "PNG")
    yield "alpha.png", _saved(Image.merge("LA", [grey, alpha]), "PNG")
    yield "grey.tiff", _saved(grey, "TIFF", compression="tiff_lzw")
    yield "grey16.tiff", _saved(Image.fromarray(deep), "TIFF")
    yield "grey.bmp", _saved(grey, "BMP")
    yield "colour.webp", _saved(colour, "WEBP", lossless=True)
    wide = Image.new("L", (2 * SIZE[0], SIZE[1]))
    wide.paste(grey, (SIZE[0] // 3, 0))
    yield "wide.png", _saved(wide, "PNG")
    stripes = (np.arange(128)[:, np.newaxis] + np.arange(160)) % 64 * 4
    yield "no-lungs.png", _saved(Image.fromarray(stripes.astype(np.uint8)), "PNG")
    samples = (deep >> (16 - _BITS)).astype(np.uint16)
    yield "window.dcm", _dicom(samples, "MONOCHROME2")
    yield "inverted.dcm", _dicom(np.uint16(2**_BITS - 1) - samples, "MONOCHROME1")


def _saved(image: Image.Image, format_: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def _dicom(samples: NDArray[np.uint16], photometric: str) -> bytes:
    """A film of 12 bits in 16, with a rescaling and a window."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2.3.4"
    dataset.Modality, dataset.PhotometricInterpretation = "CR", photometric
    dataset.Rows, dataset.Columns = samples.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, _BITS, _BITS - 1
    dataset.RescaleSlope, dataset.RescaleIntercept = "2", "-100"
    dataset.WindowCenter, dataset.WindowWidth = "4000", "8000"
    dataset.PixelData = samples.astype("<u2").tobytes()
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def vectors(folder: Path) -> dict[str, Any]:
    """What each bundle makes of each file in a folder, and the model inputs as PNG beside them."""
    (folder / "inputs").mkdir(exist_ok=True)
    files: dict[str, Any] = {}
    bundles: dict[str, Any] = {}
    for name in BUNDLES:
        bundle = Bundle.load(cxr_edge_models.path(name))
        manifest = bundle.manifest
        assert manifest.locator is not None
        classifier, prepare = Classifier(bundle), Preprocessor.of(bundle)
        answers = {}
        for file in [name for name, _ in drawings()]:
            grey = load_grey(folder / file, least_side=prepare.least_side).pixels
            view = prepare(grey).model_input[0, :, :, 0]
            answer = classifier.classify(folder / file, force=True, mapped=False)
            Image.fromarray(view).save(folder / "inputs" / f"{file}.png")
            height, width = grey.shape
            prepared = {
                "sha256": hashlib.sha256((folder / file).read_bytes()).hexdigest(),
                "grey": {"width": width, "height": height},
                "box": asdict(answer.box) if answer.box else None,
                "input": f"inputs/{file}.png",
                "input_sha256": hashlib.sha256(view.tobytes()).hexdigest(),
            }
            # Every bundle has the same lung locator, and boxes are the same in every engine.
            assert files.setdefault(file, prepared) == prepared
            answers[file] = {
                "logit": round(answer.logit, 6),
                "probability": round(answer.probability or 0.0, 6),
                "label": answer.label,
                "verdict": answer.gate.verdict,
            }
        bundles[name] = {
            "model": {
                "file": manifest.model.file,
                "sha256": manifest.files[manifest.model.file].sha256,
            },
            "locator": {
                "file": manifest.locator.file,
                "sha256": manifest.files[manifest.locator.file].sha256,
                "margin": manifest.locator.margin,
            },
            "temperature": manifest.temperature,
            "bias": manifest.bias,
            "threshold": manifest.threshold.value,
            "labels": list(manifest.labels),
            "answers": answers,
        }
    return {"notice": f"Drawings. {NOTICE}", "files": files, "bundles": bundles}


def main() -> None:
    """Write the files, the model inputs and ``vectors.json``."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(exist_ok=True)
    for name, content in drawings():
        (folder / name).write_bytes(content)
    text = json.dumps(vectors(folder), indent=1) + "\n"
    (folder / "vectors.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
