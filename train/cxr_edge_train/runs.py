"""A run on disk: everything that later stages need, except the images.

::

    RUN/
    ├── model.keras       the model of the epoch that was kept, with its optimizer state
    ├── run.json          what was trained, with which settings, and how good it is
    ├── recipe.toml       every hyper-parameter, including defaults
    ├── dataset.csv       the training and validation images; no test image is listed
    ├── history.csv       loss and validation metrics by epoch; an imported model has none
    ├── predictions.csv   logit, probability and decision of each validation image
    ├── locator.*         where films are cut to the lungs: the locator, .json, .tflite and .onnx
    └── figures/          plots: learning curves, and those of an evaluation on validation
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.errors import RunError
from cxr_edge_runtime.files import file_sha256, replacing, write_text
from cxr_edge_runtime.preprocess import VERSIONS, PreprocessSpec
from cxr_edge_runtime.typed_json import Bounds, TypedJsonError, from_json, parse_json
from cxr_edge_train.dataset.class_names import KERMANY, ClassNames
from cxr_edge_train.dataset.patients import UnknownPatients
from cxr_edge_train.statistics.intervals import Interval
from cxr_edge_train.statistics.operating_point import OperatingPoint

RUN_FORMAT = 1
# Written last: a folder that has it holds a finished run.
RUN = "run.json"
# Only a folder whose run is not finished has it.
UNFINISHED = "unfinished.json"
HISTORY = "history.csv"
# The folders of the runs of a cross-validation begin so.
FOLD = "fold-"
# What it says of validation, see ValidationMetrics; runs of before version 0.2 have the loss alone.
EPOCH_METRICS = ("val_loss", "val_accuracy", "val_auc", "val_sensitivity", "val_specificity")
# What run.json says of the operating point, by the field it is of; all of it is of validation.
_POINT_KEYS = {
    "temperature": "temperature", "bias": "bias", "prevalence": "prevalence",
    "threshold": "threshold", "threshold_rule": "rule",
}  # fmt: skip
_POINT_TYPES = {"threshold_rule": str, "prevalence": float | None}


@dataclass(frozen=True, slots=True)
class Run:
    """What ``run.json`` says, where it lies, and what the user should know of it.

    Attributes:
        folder: folder of the run.
        architecture: name of the architecture.
        weights: what the weights started from: ``imagenet``, ``none`` or a file's name.
        seed: seed of the initial weights, the shuffling and the augmentation.
        root: folder that the paths in ``dataset.csv`` are relative to.
        dataset_digest: digest of the images, see
            :func:`cxr_edge_train.dataset.metadata.dataset_digest`.
        preprocess: how the pixels were preprocessed.
        operating_point: temperature, bias and threshold, chosen on validation.
        metrics: metrics by split, which is only ``validation``, then by name.
        versions: versions of Python and of the packages that matter.
        seconds: wall time of all epochs in seconds, without interruptions.
        devices: what it was computed on and in which precision.
        weights_sha256: SHA-256 of the file that the weights started from; empty if there was none.
        imported_sha256: SHA-256 of the file that the model was imported from, empty where it was
            trained here. How an imported model was trained is unknown; it has no ``history.csv``.
        test_digest: digest of the test images that were there when the run was made, see
            :func:`cxr_edge_train.dataset.metadata.digest_of_test`; empty in runs of before it was
            recorded.
        unknown_patients: how many of the training and validation images have no known patient;
            None in runs of before it was recorded.
        locator_sha256: SHA-256 of ``locator.json``; empty where films were shown whole.
        labels: the names of the two classes, the negative one first.
        format: :data:`RUN_FORMAT` of the code that wrote it.
        warnings: what the user should know, one sentence each; of a run that was just trained.
    """

    folder: Path = field(compare=False)
    architecture: str
    weights: str
    seed: int
    root: str
    dataset_digest: str
    preprocess: PreprocessSpec
    operating_point: OperatingPoint
    metrics: dict[str, dict[str, Interval]]
    versions: dict[str, str]
    seconds: float
    devices: str = ""
    weights_sha256: str = ""
    imported_sha256: str = ""
    test_digest: str = ""
    unknown_patients: UnknownPatients | None = None
    locator_sha256: str = ""
    labels: Annotated[tuple[str, ...], Bounds(min_items=2, max_items=2, unique=True)] = KERMANY
    format: int = RUN_FORMAT
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def class_names(self) -> ClassNames:
        """The names of the two classes."""
        return ClassNames(*self.labels)

    @property
    def notice(self) -> str:
        """That this is research software, to be shown beside every result."""
        return NOTICE

    def as_dict(self) -> dict[str, Any]:
        """The content of ``run.json``, where the operating point has no level of its own."""
        values = asdict(self)
        del values["folder"], values["warnings"]
        if self.class_names.is_default:
            del values["labels"]
        point = values.pop("operating_point")
        for name in ("imported_sha256", "test_digest", "unknown_patients", "locator_sha256"):
            if not values[name]:  # so that a run of before they were recorded is the same file
                del values[name]
        return values | {name: point[attribute] for name, attribute in _POINT_KEYS.items()}


def write_run(folder: Path, run: Run) -> None:
    """Write ``run.json`` into a folder; all other files must have been written before."""
    write_text(folder / RUN, json.dumps(run.as_dict(), indent=2, sort_keys=True) + "\n")


def read_run(folder: Path) -> Run:
    """Read a run and check that it is complete.

    Raises:
        RunError: the folder is missing or holds no finished run, or the run is damaged, of another
            format or made with another version of the preprocessing.
    """
    file = folder / RUN
    try:
        content = parse_json(file.read_bytes())
        if not isinstance(content, dict):
            raise TypedJsonError("the run", "must be a JSON object")
        _check_versions(file, content)
        run = Run(folder=folder, **_typed(content))
    except FileNotFoundError:
        if not folder.is_dir():
            raise RunError(f"{folder}: no such folder; name the folder of a run") from None
        raise RunError(
            f"{folder}: no finished training run (run.json is missing); make one with "
            "cxr-edge train"
        ) from None
    except (OSError, TypedJsonError, TypeError) as error:  # TypeError: a field is missing
        raise RunError(f"{file}: damaged ({error}); expected {', '.join(_kinds())}") from error
    if not run.preprocess.is_consistent:
        raise RunError(
            f"{file}: damaged (preprocess.rule is not that of version {run.preprocess.version}); "
            "make it again"
        )
    for name in ("model.keras", "dataset.csv"):
        if not (folder / name).is_file():
            raise RunError(f"{folder}: {name} is missing; make it again")
    return run


def read_folds(folder: Path) -> tuple[Run, ...]:
    """The finished runs of a cross-validation.

    Raises:
        RunError: there are fewer than two, one is not finished, or one is damaged.
    """
    runs = tuple(read_run(path) for path in sorted(folder.glob(f"{FOLD}*"), key=_fold_number))
    if len(runs) < 2:
        raise RunError(f"{folder}: no folds here; make them with cxr-edge train (folds)")
    return runs


def _fold_number(folder: Path) -> int:
    number = folder.name.removeprefix(FOLD)
    return int(number) if number.isdecimal() else 0


def _check_versions(file: Path, content: dict[str, Any]) -> None:
    """Refuse a run of another format, or pixels that were made by other rules than today's."""
    recorded = content.get("format", RUN_FORMAT)
    if recorded != RUN_FORMAT:
        raise RunError(
            f"{file}: format {recorded!r}, this cxr-edge reads {RUN_FORMAT}; make it again"
        )
    preprocess = content.get("preprocess")
    version = preprocess.get("version") if isinstance(preprocess, dict) else None
    if isinstance(version, int) and version not in VERSIONS:
        raise RunError(
            f"{file}: made with preprocess version {version}, this cxr-edge has "
            f"{' and '.join(map(str, VERSIONS))}; make it again"
        )


def _kinds() -> dict[str, Any]:
    """What ``run.json`` holds: the type of each key."""
    kinds = get_type_hints(Run, include_extras=True)
    for elsewhere in ("folder", "warnings", "operating_point"):
        del kinds[elsewhere]
    return kinds | {key: _POINT_TYPES.get(key, float) for key in _POINT_KEYS}


def _typed(content: dict[str, Any]) -> dict[str, Any]:
    """The fields of :class:`Run` that ``run.json`` holds.

    Raises:
        TypedJsonError: a key is unknown, or its value of the wrong type.
    """
    kinds = _kinds()
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in kinds:
            raise TypedJsonError(key, "is not a known field")
        values[key] = from_json(kinds[key], value, path=key)
    point = {attribute: values.pop(key) for key, attribute in _POINT_KEYS.items() if key in values}
    return values | {"operating_point": OperatingPoint(**point, chosen_on="validation")}


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV table atomically."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_dataset(folder: Path) -> pd.DataFrame:
    """Read the table of a run's training and validation images.

    Raises:
        RunError: ``dataset.csv`` is damaged.
    """
    file = folder / "dataset.csv"
    try:
        # As text: a label may be 01, or TRUE.
        table = pd.read_csv(file, keep_default_na=False, dtype=str)
        return table.astype({"split": str, "label": str, "path": str, "md5": str})
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{file}: damaged ({error}); make it again") from error


def read_predictions(folder: Path, validation: pd.DataFrame) -> NDArray[np.float64]:
    """Read the float model's logits ``[N]`` for the given validation images, in their order.

    Raises:
        RunError: ``predictions.csv`` is missing, damaged or of other images.
    """
    file = folder / "predictions.csv"
    try:
        predictions = pd.read_csv(file, keep_default_na=False).set_index("path")
        logits: NDArray[np.float64] = predictions.loc[validation["path"], "logit"].to_numpy(float)
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{file}: damaged ({error}); make it again") from error
    return logits


def read_history(folder: Path, *, measured: str = "val_loss") -> pd.DataFrame:
    """Read the history: per epoch, ``epoch`` from 0, ``loss``, ``seconds`` and what was measured.

    The latter are :data:`EPOCH_METRICS`, of which earlier versions wrote only ``val_loss``.

    Args:
        folder: folder of the fit.
        measured: what its history must say of validation.

    Raises:
        RunError: ``history.csv`` is missing or damaged.
    """
    file = folder / HISTORY
    try:
        history = pd.read_csv(file).astype(
            {"epoch": int, "loss": float, measured: float, "seconds": float}
        )
        return history.astype({name: float for name in EPOCH_METRICS if name in history})
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{file}: damaged ({error}); make it again") from error


def model_sha256(folder: Path) -> str:
    """SHA-256 of a run's ``model.keras``, by which the test log identifies it."""
    return file_sha256(folder / "model.keras")
