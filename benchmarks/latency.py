"""One-thread latency of the shipped network in INT8 against float32, in both formats.

python -m benchmarks.latency [--rounds 200]

All four models are made from models/float; INT8 is calibrated on the sample images, since ranges
do not change what is computed. Each pair runs in turn on the same image in one process.
"""

import functools
from argparse import Namespace
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

from benchmarks.side_by_side import Finding, arguments, in_turn, ratio, run, seconds_of
from cxr_edge_convert.formats.graph import scaling_tensors
from cxr_edge_convert.formats.models import float32_model, int8_model, probe_of
from cxr_edge_convert.quantization.ranges import activation_ranges
from cxr_edge_convert.variants import FLOAT32, INT8, ONNX, TFLITE, Scheme
from cxr_edge_runtime.bundle.manifest import OUTPUTS, InputEntry
from cxr_edge_runtime.engines import Engine, open_model
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.preprocess import PreprocessSpec, preprocess
from cxr_edge_train.recipe import Calibration

ROOT = Path(__file__).resolve().parents[1]


def engines(model: keras.Model, format: str, target: str | None) -> tuple[Engine, Engine]:
    """Open the network in INT8 and in float32."""
    spec = PreprocessSpec(*model.inputs[0].shape[1:3])
    samples = sorted((ROOT / "data" / "samples").glob("*.jpeg"))
    pixels = np.stack([preprocess(load_grey(path).pixels, spec)[0] for path in samples])
    float32 = float32_model(model, format)
    probe = probe_of(float32, format)
    scaling = scaling_tensors(probe.operators)
    ranges = activation_ranges(probe, pixels, scaling=scaling, calibration=Calibration())
    int8 = int8_model(float32, Scheme(INT8, format, INT8, target), ranges)
    return (
        open_model(int8, format, InputEntry.of_contract(format, INT8, spec), OUTPUTS),
        open_model(float32, format, InputEntry.of_contract(format, FLOAT32, spec), OUTPUTS),
    )


def benchmark(options: Namespace) -> Iterator[Finding]:
    model = keras.models.load_model(ROOT / "models" / "float" / "mobilenetv2.keras", compile=False)
    shape = (1, *model.inputs[0].shape[1:])
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for format, target in ((TFLITE, None), (ONNX, "x86")):
        int8, float32 = engines(model, format, target)
        ways = [functools.partial(engine.run, image) for engine in (int8, float32)]
        timed = [functools.partial(seconds_of, way) for way in ways]
        seconds = in_turn(*timed, rounds=options.rounds, warm_up=10)
        title = f"{format}, int8 and float32, {int8.name} {metadata.version(int8.name)}"
        # INT8 that is slower than float32 would not be worth what it costs in accuracy.
        yield ratio(title, seconds, unit="ms", scale=1000, at_most=1)


if __name__ == "__main__":
    run(benchmark, arguments(__doc__, rounds=200))
