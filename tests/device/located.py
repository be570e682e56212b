"""Give the shipped model the lung locator of the checkout, as a bundle in a new folder.

The model was not trained on boxes: what it says of one is no good, but the same everywhere.
"""

import sys
from dataclasses import replace
from pathlib import Path

import cxr_edge_models
from cxr_edge_runtime.bundle import Bundle, describe_files, write_bundle
from cxr_edge_runtime.bundle.manifest import LOCATOR_VERSION, LocatorEntry
from cxr_edge_runtime.preprocess import LUNG_BOX_VERSION, PreprocessSpec

LOCATOR = Path(__file__).resolve().parents[2] / "models/float/lung-locator/locator.tflite"

shipped = Bundle.load(cxr_edge_models.path(cxr_edge_models.DEFAULT))
contents = {name: shipped.read(name) for name in shipped.manifest.files}
contents[LOCATOR.name] = LOCATOR.read_bytes()
size = shipped.manifest.preprocess.height
manifest = replace(
    shipped.manifest,
    preprocess=PreprocessSpec.of_version(LUNG_BOX_VERSION, size=size),
    # Most sides of the samples' boxes then lie inside them, and both labels are given.
    locator=LocatorEntry(LOCATOR.name, LOCATOR_VERSION, 1.25),
    files=describe_files(contents),
)
write_bundle(Path(sys.argv[1]), manifest, contents)
