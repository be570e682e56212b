"""How ``bundle-v3`` was made; the others are of earlier versions."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "support"))

from cxr_edge_convert.formats.graph import scaling_tensors
from cxr_edge_convert.formats.tflite import to_float32, to_int8
from cxr_edge_convert.formats.tflite_graph import TfliteProbe
from cxr_edge_convert.quantization.ranges import activation_ranges
from cxr_edge_runtime.bundle import describe_files, write_bundle
from cxr_edge_runtime.bundle.manifest import (
    NOTICE,
    OUTPUTS,
    Ages,
    Calibration,
    InputEntry,
    Interval,
    Manifest,
    ModelEntry,
    OneLevel,
    Site,
    Threshold,
    Training,
)
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.recipe import Calibration as Method
from synthetic import noisy_gradient
from tiny_model import tiny_model

pixels = np.stack([noisy_gradient((32, 32), seed) for seed in range(20)])[..., np.newaxis]
float32 = to_float32(tiny_model())
probe = TfliteProbe(float32)
ranges = activation_ranges(
    probe, pixels, scaling=scaling_tensors(probe.operators), calibration=Method()
)
contents = {
    "model.tflite": to_int8(float32, ranges),
    "MODEL_CARD.md": b"# tiny\n\nRandom weights, for tests.\n",
}
manifest = Manifest(
    schema_version=3,
    name="tiny-int8",
    version="1",
    task="pneumonia on chest X-rays",
    labels=("No finding", "Entzündung"),
    positive_label="Entzündung",
    files=describe_files(contents),
    model=ModelEntry("model.tflite", "tflite", "int8"),
    input=InputEntry((1, 32, 32, 1), "int8", 1.0, -128),
    outputs=OUTPUTS,
    preprocess=PreprocessSpec(32, 32),
    locator=None,
    temperature=1.5,
    bias=0.25,
    prevalence=0.4,
    ages=Ages(1, 5),
    threshold=Threshold(0.4, "none, random weights", "nothing"),
    one_level=OneLevel(0.5, None, 20),
    gate=None,
    metrics={"validation": {"auc": Interval(0.5, 0.4, 0.6, 10)}},
    calibration=Calibration(20, "min-max over all images", 0, "0" * 64),
    verification=None,
    training=Training("tiny", "none", 0, "0" * 64, "", {"python": "3.11"}),
    intended_use="Tests.",
    notice=NOTICE,
    license="Apache-2.0",
    site=Site("here", "1" * 64, 60, 70, 0, ("Random weights.",)),
)
write_bundle(Path(__file__).parent / "bundle-v3", manifest, contents)
