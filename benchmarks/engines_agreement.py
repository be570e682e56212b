"""Do the engines give the same answers on validation? Each bundle of a conversion by each engine.

    python benchmarks/engines_agreement.py RUN CONVERSION [--tflite-runtime CXR_EDGE]

tflite-runtime needs an environment of its own; CXR_EDGE is the command in it. Wanted: of float32
the same decisions and probabilities within 0.01; of INT8 at most 1 decision in 100 that differs.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxr_edge_train.runs import read_dataset, read_run

BUNDLES = {"float32": ("float32", "onnx-float32"), "int8": ("int8", "onnx-int8-*")}


def answers(
    command: str, bundle: Path, engine: str, films: list[Path]
) -> tuple[NDArray[np.float64], list[str]]:
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
    return np.array([r["probability"] for r in results]), [r["label"] for r in results]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("conversion", type=Path)
    parser.add_argument("--tflite-runtime", help="cxr-edge of an environment with it")
    arguments = parser.parse_args()
    ours = shutil.which("cxr-edge", path=str(Path(sys.executable).parent))
    if ours is None:
        sys.exit("cxr-edge is not installed beside this Python")
    table = read_dataset(arguments.run)
    root = Path(read_run(arguments.run).root)
    films = [root / path for path in table.loc[table["split"] == "validation", "path"]]
    for kind, (tflite, onnx) in BUNDLES.items():
        [onnx_folder] = arguments.conversion.glob(onnx)
        ways = {"ai-edge-litert": (ours, arguments.conversion / tflite)}
        if arguments.tflite_runtime:
            ways["tflite-runtime"] = (arguments.tflite_runtime, arguments.conversion / tflite)
        ways["onnxruntime"] = (ours, onnx_folder)
        first, labels = answers(*ways.pop("ai-edge-litert"), "ai-edge-litert", films)
        for engine, (command, bundle) in ways.items():
            others, their_labels = answers(command, bundle, engine, films)
            differ = sum(a != b for a, b in zip(labels, their_labels))
            print(
                f"{kind}: {engine} against ai-edge-litert, {len(films)} films: {differ} other "
                f"decisions, probabilities differ by {np.abs(others - first).max():.6f} at most, "
                f"{np.abs(others - first).mean():.6f} on average",
                flush=True,
            )


if __name__ == "__main__":
    main()
