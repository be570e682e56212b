"""One-thread latency of the shipped INT8 model against the float32 model it came from.

    python benchmarks/latency.py [--rounds 200]

float32 is made from models/float; both run in turn on the same images in one process.
"""

import argparse
import statistics
import time
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

import cxr_edge_models
from cxr_edge_convert.tflite import to_float32
from cxr_edge_runtime import Bundle
from cxr_edge_runtime.engines import Engine, open_engine
from cxr_edge_runtime.engines.litert import LiteRtEngine
from cxr_edge_runtime.manifest import InputEntry


def invoke_ms(engine: Engine, image: np.ndarray) -> float:
    """Milliseconds of one run."""
    started = time.perf_counter()
    engine.run(image)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    """Print both medians and the median of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    bundle = Bundle.load(cxr_edge_models.path(cxr_edge_models.DEFAULT))
    shape = bundle.manifest.input.shape
    float_file = Path(__file__).resolve().parents[1] / "models" / "float" / "mobilenetv2.keras"
    model = keras.models.load_model(float_file, compile=False)
    int8 = open_engine(bundle)
    entry = InputEntry.of_contract("tflite", "float32", bundle.manifest.preprocess)
    float32 = LiteRtEngine(to_float32(model), entry, bundle.manifest.outputs)
    images = np.random.default_rng(0).integers(0, 256, (rounds, *shape), dtype=np.uint8)
    for image in images[:10]:
        int8.run(image), float32.run(image)
    pairs = [(invoke_ms(int8, image), invoke_ms(float32, image)) for image in images]
    print(
        f"int8 {statistics.median(a for a, _ in pairs):.2f} ms, "
        f"float32 {statistics.median(b for _, b in pairs):.2f} ms, "
        f"ratio {statistics.median(a / b for a, b in pairs):.2f} "
        f"({rounds} pairs, one thread, {int8.name} {metadata.version(int8.name)})"
    )


if __name__ == "__main__":
    main()
