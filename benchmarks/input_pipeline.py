"""An epoch from the pixel cache with augmentation against one on pre-augmented arrays in memory.

Usage: ``python benchmarks/input_pipeline.py [ARCHITECTURE] [IMAGE_SIZE]``; prints the ratio of the
wall times of alternating epochs. At most 1.15 is wanted.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from cxr_edge.process.keras_backend import load_quietly

load_quietly()

import keras  # noqa: E402

from cxr_edge_train.architectures import build  # noqa: E402
from cxr_edge_train.fitting.batches import Batch, TrainingBatches  # noqa: E402
from cxr_edge_train.fitting.optimizers import compile_model  # noqa: E402
from cxr_edge_train.recipe import Augmentation, Fit, Model  # noqa: E402

IMAGES, BATCH_SIZE, PAIRS = 256, 32, 5
# Of an epoch from the cache against one in memory.
MAX_RATIO = 1.15
SAMPLES = Path(__file__).parent.parent / "data" / "samples"


class _InMemory(keras.utils.PyDataset):  # type: ignore[misc]  # keras is not typed
    def __init__(self, batches: list[Batch]) -> None:
        super().__init__()
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Batch:
        return self._batches[index]


def main(architecture: str = "mobilenetv2", image_size: str = "224") -> None:
    """Fit the same network on both, epoch by epoch in turn."""
    size = int(image_size)
    films = [
        np.asarray(Image.open(file).convert("L").resize((size, size)))
        for file in sorted(SAMPLES.glob("*.jpeg"))
    ]
    with tempfile.TemporaryDirectory() as folder:
        shape = (IMAGES, size, size, 1)
        pixels = np.lib.format.open_memmap(Path(folder) / "p.npy", "w+", np.uint8, shape)
        for index in range(IMAGES):
            pixels[index, :, :, 0] = films[index % len(films)]
        labels = np.arange(IMAGES) % 2
        augmented = TrainingBatches(pixels, labels, Augmentation(), batch_size=BATCH_SIZE, seed=0)
        ready = _InMemory([augmented[index] for index in range(len(augmented))])
        model = build(architecture, Model(image_size=size), weights=None)
        compile_model(model, keras.optimizers.AdamW(), Fit())
        seconds: dict[str, list[float]] = {"cache": [], "memory": []}
        model.fit(ready, verbose=0)  # compiles
        for _ in range(PAIRS):
            for name, batches in (("cache", augmented), ("memory", ready)):
                started = time.perf_counter()
                model.fit(batches, verbose=0, shuffle=False)
                seconds[name].append(time.perf_counter() - started)
    ratios = [a / b for a, b in zip(seconds["cache"], seconds["memory"])]
    print(
        f"{architecture} {size}x{size}: epoch from cache with augmentation / in memory "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, "
        f"{PAIRS} pairs of {IMAGES} images, {statistics.median(seconds['memory']):.1f} s in "
        f"memory), at most {MAX_RATIO} wanted"
    )
    if statistics.median(ratios) > MAX_RATIO:
        sys.exit("training waits for its input longer than wanted")


if __name__ == "__main__":
    main(*sys.argv[1:])
