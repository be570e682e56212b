"""Do the engines give the same answers on validation? Each bundle of a conversion by each engine.

python -m benchmarks.engines_agreement RUN CONVERSION [--tflite-runtime CXR_EDGE]

tflite-runtime needs an environment of its own; CXR_EDGE is the command in it.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.side_by_side import Finding, arguments, installed_command, run
from cxr_edge_train.runs import read_dataset, read_run

BUNDLES = {"float32": ("float32", "onnx-float32"), "int8": ("int8", "onnx-int8-*")}
# Float32 computes the same everywhere but for rounding; INT8 rounds otherwise in each engine.
MOST_CHANGED = {"float32": 0.0, "int8": 0.01}
MOST_SHIFTED = {"float32": 0.01, "int8": None}


def predictions(
    command: str, bundle: Path, engine: str, films: list[Path]
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Probabilities and labels in the order of the films."""
    done = subprocess.run(
        [command, "classify", "--json", "--force", "--bundle", bundle, "--engine", engine, "-"],
        input="\n".join(map(str, films)),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stderr[-500:])
    results = [json.loads(line) for line in done.stdout.splitlines()]
    return np.array([r["probability"] for r in results]), np.array([r["label"] for r in results])


def benchmark(options: argparse.Namespace) -> Iterator[Finding]:
    ours = installed_command()
    table = read_dataset(options.run)
    root = Path(read_run(options.run).root)
    films = [root / path for path in table.loc[table["split"] == "validation", "path"]]
    for kind, (tflite, onnx) in BUNDLES.items():
        [onnx_folder] = options.conversion.glob(onnx)
        ways = {"onnxruntime": (ours, onnx_folder)}
        if options.tflite_runtime:
            ways["tflite-runtime"] = (options.tflite_runtime, options.conversion / tflite)
        litert = predictions(ours, options.conversion / tflite, "ai-edge-litert", films)
        for engine, (command, bundle) in ways.items():
            probabilities, labels = predictions(command, bundle, engine, films)
            title = f"{kind}, {engine} against ai-edge-litert, {len(films)} films"
            changed = float((labels != litert[1]).mean())
            yield Finding(f"{title}, changed decisions", [changed], at_most=MOST_CHANGED[kind])
            shifts = np.abs(probabilities - litert[0])
            yield Finding(f"{title}, mean shift of the probability", [float(shifts.mean())])
            yield Finding(f"{title}, largest", [float(shifts.max())], at_most=MOST_SHIFTED[kind])


if __name__ == "__main__":
    parser = arguments(__doc__, "run", "conversion")
    parser.add_argument("--tflite-runtime", help="cxr-edge of an environment with it")
    run(benchmark, parser)
