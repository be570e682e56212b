"""One-thread latency of the shipped network in INT8 against float32, in both formats.

    python benchmarks/latency.py [--rounds 200]

All four models are made from models/float; INT8 is calibrated on the sample images, since ranges
do not change what is computed. Each pair runs in turn on the same images in one process.
"""

import argparse
import statistics
import time
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

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
    """The network in INT8 and in float32."""
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


def invoke_ms(engine: Engine, image: np.ndarray) -> float:
    """Milliseconds of one run."""
    started = time.perf_counter()
    engine.run(image)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    """Print, of each format, both medians and the median of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    model = keras.models.load_model(ROOT / "models" / "float" / "mobilenetv2.keras", compile=False)
    images = np.random.default_rng(0).integers(
        0, 256, (rounds, 1, *model.inputs[0].shape[1:]), dtype=np.uint8
    )
    for format, target in ((TFLITE, None), (ONNX, "x86")):
        int8, float32 = engines(model, format, target)
        for image in images[:10]:
            int8.run(image), float32.run(image)
        pairs = [(invoke_ms(int8, image), invoke_ms(float32, image)) for image in images]
        print(
            f"{format}: int8 {statistics.median(a for a, _ in pairs):.2f} ms, "
            f"float32 {statistics.median(b for _, b in pairs):.2f} ms, "
            f"ratio {statistics.median(a / b for a, b in pairs):.2f} "
            f"({rounds} pairs, one thread, {int8.name} {metadata.version(int8.name)})"
        )


if __name__ == "__main__":
    main()
