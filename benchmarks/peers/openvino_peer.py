"""OpenVINO on the processor, with its defaults; NNCF's post-training quantization for INT8."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.peers import interface
from benchmarks.peers.films import read_film, read_films


def prepare(inputs: Path, output: Path) -> None:
    import nncf
    import openvino as ov

    model = ov.convert_model(inputs / interface.ONNX)
    # By default weights are stored in half precision; the float network of all others is float32.
    ov.save_model(model, output / "float.xml", compress_to_fp16=False)
    films = interface.read_list(inputs / interface.CALIBRATION)
    dataset = nncf.Dataset(films, lambda path: read_film(path)[None])
    ov.save_model(nncf.quantize(model, dataset), output / "int8.xml")


def classify(model: Path, films: Sequence[Path]) -> Iterator[float]:
    import openvino as ov

    network = ov.Core().compile_model(model, "CPU")
    for film in read_films(films):
        yield float(network(film)["logit"].squeeze())


if __name__ == "__main__":
    interface.main(__doc__, prepare=prepare, classify=classify)
