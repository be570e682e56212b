"""What peers make their models from: the float network, calibration films, lists of films.

    python -m benchmarks.peers.inputs RUN CONVERSION OUTPUT

Run with cxr-edge's own environment. RUN is what ``cxr-edge train`` wrote, CONVERSION what
``cxr-edge convert run RUN --format both`` did. No test film is listed in a run, so none is read.
"""

import shutil
from pathlib import Path

import pandas as pd

import cxr_edge_models
from benchmarks.peers import interface
from benchmarks.side_by_side import arguments
from cxr_edge_convert.limits import CALIBRATION_IMAGES
from cxr_edge_convert.quantization.calibration_images import choose_calibration_images
from cxr_edge_train.runs import read_dataset, read_run

VALIDATION, VALIDATION_TABLE = "validation.txt", "validation.csv"
FLOAT_MODEL = Path(__file__).parents[2] / "models" / "float" / "mobilenetv2.keras"


def write_inputs(run: Path, conversion: Path, output: Path) -> None:
    """Fill ``output``, whose files :mod:`benchmarks.peers.interface` and this module name."""
    output.mkdir(parents=True, exist_ok=True)
    shutil.copy(FLOAT_MODEL, output / interface.KERAS)
    shutil.copy(conversion / "onnx-float32" / "model.onnx", output / interface.ONNX)
    shipped = cxr_edge_models.path("mobilenetv2-onnx-int8") / "model.onnx"
    shutil.copy(shipped, output / interface.SHIPPED_ONNX)

    root, table = Path(read_run(run).root), read_dataset(run)
    table["path"] = [str((root / path).resolve()) for path in table["path"]]
    training, validation = (table[table["split"] == split] for split in ("train", "validation"))
    calibration = choose_calibration_images(training, count=CALIBRATION_IMAGES, seed=0)[0]
    for name, rows in ((interface.CALIBRATION, calibration), (VALIDATION, validation)):
        (output / name).write_text("\n".join(rows["path"]) + "\n", encoding="utf-8")
    validation.to_csv(output / VALIDATION_TABLE, index=False)

    for folder, rows in (
        (f"{interface.DATASET}/train", training),
        (f"{interface.DATASET}/val", validation),
        (f"{interface.CALIBRATION_DATASET}/train", calibration),
    ):
        _link(rows, output / folder)


def _link(rows: pd.DataFrame, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for label, path in zip(rows["label"], rows["path"]):
        link = folder / label / Path(path).name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)


def main() -> None:
    options = arguments(__doc__, "run", "conversion", "output").parse_args()
    write_inputs(options.run, options.conversion, options.output)


if __name__ == "__main__":
    main()
