"""Ultralytics classification: its own network, trained by it for a few epochs from nothing.

It reads and resizes films itself (shorter side to 160 px, centre cropped), and does not take
another tool's network, so its accuracy is not compared: only its costs and what INT8 takes from it.
"""

import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.peers import interface
from benchmarks.peers.films import SIDE

NETWORK, EPOCHS, SEED = "yolo26n-cls.yaml", 4, 0
# No look-ups, no packages installed behind our back, nothing but answers on standard output.
os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}


def _declare_missing_operators() -> None:
    """Let torchvision be imported where torch is built for processors and it itself for GPUs.

    The registry has torchvision with CUDA only. Without CUDA its compiled operators do not load,
    and it stumbles over the absence of two that classification never calls.
    """
    import torch

    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARIES.append(library)


# What is declared goes when its library does.
_LIBRARIES: list[object] = []


def prepare(inputs: Path, output: Path) -> None:
    _declare_missing_operators()
    from ultralytics import YOLO

    data = str(inputs / interface.DATASET)
    model = YOLO(NETWORK, task="classify")
    model.train(
        data=data, epochs=EPOCHS, imgsz=SIDE, seed=SEED, device="cpu", workers=0, plots=False,
        project=str(output), name="training", exist_ok=True, val=False,
    )  # fmt: skip
    shutil.copy(output / "training" / "weights" / "last.pt", output / "float.pt")
    trained = YOLO(output / "float.pt")
    exported = trained.export(
        format="litert", quantize=8, imgsz=SIDE, device="cpu",
        # By default it calibrates on validation films.
        data=str(inputs / interface.CALIBRATION_DATASET), split="train",
    )  # fmt: skip
    shutil.move(exported, output / "int8.tflite")


def classify(model: Path, films: Sequence[Path]) -> Iterator[float]:
    _declare_missing_operators()
    from ultralytics import YOLO

    network = YOLO(model, task="classify")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(map(str, films)))
        listed.flush()
        source = str(films[0]) if len(films) == 1 else listed.name
        results = network.predict(
            source, imgsz=SIDE, device="cpu", stream=True, verbose=False, save=False
        )
        for film, result in zip(films, results):
            if Path(result.path) != film.absolute():  # it sorts what it is given
                raise RuntimeError(f"{result.path} answered in the place of {film}")
            normal, pneumonia = result.probs.data.tolist()
            yield math.log(max(pneumonia, 1e-12) / max(normal, 1e-12))


if __name__ == "__main__":
    interface.main(__doc__, prepare=prepare, classify=classify)
