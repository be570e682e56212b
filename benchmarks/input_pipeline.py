"""An epoch from the pixel cache with augmentation against one on ready arrays in memory.

Once with a network that this machine's cores compute, and once with a step of 5 ms in which they
are free, as while a GPU computes. A GPU waits for films where the second ratio is above its limit.

python -m benchmarks.input_pipeline [--architecture mobilenetv2] [--image-size 224] [--rounds 5]
"""

import functools
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.side_by_side import Finding, arguments, in_turn, ratio, run, seconds_of
from cxr_edge.process.keras_backend import load_quietly

load_quietly()

import keras  # noqa: E402

from cxr_edge_train.architectures import build  # noqa: E402
from cxr_edge_train.augmentation import CROPPED_FROM  # noqa: E402
from cxr_edge_train.fitting.batches import Batch, TrainingBatches  # noqa: E402
from cxr_edge_train.fitting.optimizers import compile_model  # noqa: E402
from cxr_edge_train.recipe import Augmentation, Model  # noqa: E402

IMAGES, BATCH_SIZE = 256, 32
STEP_S = 0.005
SAMPLES = Path(__file__).parent.parent / "data" / "samples"


class _InMemory(keras.utils.PyDataset):  # type: ignore[misc]  # keras is not typed
    def __init__(self, batches: list[Batch]) -> None:
        super().__init__()
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Batch:
        return self._batches[index]


class _Wait(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """The time that a GPU takes for a step."""

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        time.sleep(STEP_S)


def _no_network(size: int) -> keras.Model:
    """The mean grey and one weight: a step of it takes no time of its own."""
    image = keras.Input((size, size, 1), name="image")
    mean = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model({"image": image}, {"logit": keras.layers.Dense(1, name="logit")(mean)})


def benchmark(options: Namespace) -> Iterator[Finding]:
    size = options.image_size
    larger = round(CROPPED_FROM * size)
    films = [
        np.asarray(Image.open(file).convert("L").resize((larger, larger)))
        for file in sorted(SAMPLES.glob("*.jpeg"))
    ]
    with tempfile.TemporaryDirectory() as folder:
        shape = (IMAGES, larger, larger, 1)
        pixels = np.lib.format.open_memmap(Path(folder) / "p.npy", "w+", np.uint8, shape)
        for index in range(IMAGES):
            pixels[index, :, :, 0] = films[index % len(films)]
        labels = np.arange(IMAGES) % 2
        cached = TrainingBatches(
            pixels, labels, Augmentation(), side=size, batch_size=BATCH_SIZE, seed=0
        )
        ready = _InMemory([cached[index] for index in range(len(cached))])
        here = build(options.architecture, Model(image_size=size), weights=None)
        steps: tuple[tuple[str, keras.Model, list[_Wait]], ...] = (
            (f"{options.architecture} {size}x{size}", here, []),
            (f"a step of {STEP_S * 1000:g} ms, {size}x{size}", _no_network(size), [_Wait()]),
        )
        for name, model, callbacks in steps:
            compile_model(model, keras.optimizers.AdamW())
            fit = functools.partial(model.fit, verbose=0, shuffle=False, callbacks=callbacks)
            fits = [functools.partial(fit, batches) for batches in (cached, ready)]
            seconds = in_turn(
                *(functools.partial(seconds_of, fit) for fit in fits), rounds=options.rounds
            )
            title = f"{name}, an epoch of {IMAGES} images from the cache and from memory"
            yield ratio(title, seconds, unit="s", at_most=1.15)


if __name__ == "__main__":
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--architecture", default="mobilenetv2")
    parser.add_argument("--image-size", type=int, default=224)
    run(benchmark, parser)
