"""Plain Keras on TensorFlow: ``model.predict`` on the float model, TFLiteConverter for INT8."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import interface
from benchmarks.peers.films import read_film, read_films

# Keras' own default.
BATCH = 32


def prepare(inputs: Path, output: Path) -> None:
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(inputs / interface.KERAS, compile=False)
    model.save(output / "float.keras")

    def films() -> Iterator[dict[str, NDArray[np.float32]]]:
        for path in interface.read_list(inputs / interface.CALIBRATION):
            yield {"image": read_film(path)[np.newaxis]}

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = films
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    (output / "int8.tflite").write_bytes(converter.convert())


def classify(model: Path, films: Sequence[Path]) -> Iterator[float]:
    if model.suffix == ".tflite":
        yield from _classify_tflite(model, films)
        return
    import keras

    network = keras.saving.load_model(model, compile=False)
    for batch in read_films(films, batch=BATCH):
        yield from network.predict(batch, verbose=0)["logit"][:, 0].tolist()


def _classify_tflite(model: Path, films: Sequence[Path]) -> Iterator[float]:
    import tensorflow as tf

    run = tf.lite.Interpreter(str(model)).get_signature_runner()
    for film in read_films(films):
        yield float(run(image=film)["logit"].squeeze())


if __name__ == "__main__":
    interface.main(__doc__, prepare=prepare, classify=classify)
