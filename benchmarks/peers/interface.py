"""The command line that every peer has.

A peer is a module that calls :func:`main` with two functions. It runs in an environment of its own,
so nothing of cxr-edge is imported here or in it.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

# Where inputs.py puts what models are made from, below its folder.
KERAS, ONNX, SHIPPED_ONNX = "float.keras", "float.onnx", "shipped-int8.onnx"
CALIBRATION = "calibration.txt"
# Folders by split and label: training and validation films; and calibration films as train.
DATASET, CALIBRATION_DATASET = "dataset", "calibration"

# From a model's file and films to their logits, in the films' order.
Classify = Callable[[Path, Sequence[Path]], Iterator[float]]
# From the folder of inputs to the peer's own folder of models.
Prepare = Callable[[Path, Path], None]


def main(description: str | None, *, prepare: Prepare, classify: Classify) -> None:
    """Do what the command line says; logits go to standard output, one film a line."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("prepare", help="make the models, INT8 from calibration films")
    making.add_argument("inputs", type=Path, help="what inputs.py wrote")
    making.add_argument("output", type=Path, help="folder for the models")
    for name, words in (
        ("one", "classify one film and end"),
        ("folder", "classify all films below a folder"),
        ("list", "classify the films that a file names, one a line"),
    ):
        answering = commands.add_parser(name, help=words)
        answering.add_argument("model", type=Path)
        answering.add_argument("films", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "prepare":
        arguments.output.mkdir(parents=True, exist_ok=True)
        prepare(arguments.inputs, arguments.output)
        return
    films = {"one": lambda film: [film], "folder": films_below, "list": read_list}[
        arguments.command
    ](arguments.films)
    for film, logit in zip(films, classify(arguments.model, films), strict=True):
        print(f"{logit:.6f}\t{film}", flush=True)


def films_below(folder: Path) -> list[Path]:
    """All JPEG files below a folder."""
    return sorted(folder.rglob("*.jpeg"))


def read_list(file: Path) -> list[Path]:
    """Paths, one a line."""
    return [Path(line) for line in file.read_text(encoding="utf-8").splitlines()]
