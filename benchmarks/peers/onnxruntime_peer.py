"""Plain onnxruntime: a session with its defaults, ``quantize_static`` for INT8."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import interface
from benchmarks.peers.films import read_films


def prepare(inputs: Path, output: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Films(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        """The calibration films, one at a time."""

        def __init__(self) -> None:
            """Open nothing yet."""
            self._films = read_films(interface.read_list(inputs / interface.CALIBRATION))

        def get_next(self) -> dict[str, Any] | None:
            """The next film; None after the last."""
            film = next(self._films, None)
            return None if film is None else {"image": film}

    shutil.copy(inputs / interface.ONNX, output / "float.onnx")
    shutil.copy(inputs / interface.SHIPPED_ONNX, output / "shipped-int8.onnx")
    simplified = output / "simplified.onnx"
    # Its symbolic shape inference fails on this graph, whose shapes are all fixed anyway.
    quant_pre_process(output / "float.onnx", simplified, skip_symbolic_shape=True)
    quantize_static(simplified, output / "int8.onnx", Films())
    quantize_static(simplified, output / "int8-per-channel.onnx", Films(), per_channel=True)
    simplified.unlink()


def classify(model: Path, films: Sequence[Path]) -> Iterator[float]:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for film in read_films(films):
        yield float(session.run(["logit"], {"image": film})[0].squeeze())


if __name__ == "__main__":
    interface.main(__doc__, prepare=prepare, classify=classify)
