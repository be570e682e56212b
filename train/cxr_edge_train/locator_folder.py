"""A trained and converted lung locator on disk.

::

    LOCATOR/
    ├── locator.keras     the network; its weights lie on the grid of 8 bits
    ├── locator.tflite    the same network for devices
    ├── locator.onnx      and for ONNX Runtime
    ├── locator.json      what it was trained on, its margin, and how good it is; written last
    └── history.csv       loss and validation Dice by epoch
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cxr_edge_runtime.bundle.manifest import (
    CONTRACT_INPUTS,
    LOCATOR_INPUT,
    LOCATOR_OUTPUTS,
    LOCATOR_VERSION,
    FileEntry,
    Interval,
    LocatorMargin,
    LocatorVersion,
    locator_file,
)
from cxr_edge_runtime.engines import open_model
from cxr_edge_runtime.errors import RunError
from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.locator import Locator, Preprocessor
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_runtime.typed_json import TypedJsonError, from_json, parse_json

# Written last: a folder that has it holds a finished locator.
RECORD = "locator.json"
KERAS = "locator.keras"
# By their formats.
MODELS = {format: locator_file(format) for format in CONTRACT_INPUTS}


@dataclass(frozen=True, slots=True)
class LocatorMetrics:
    """How good a locator is on the validation films of a label.

    Attributes:
        dice: mean Dice of the films' masks, 0 to 1.
        box_error: how far a side of the box is from where the lungs end, in cells of which 32 make
            the film's width or height; the mean over sides and films. Where no lungs are found the
            box is the whole film.
        box_error_99: of the side that is farthest off, the 99th percentile over films.
        not_found: share of films in which no lungs are found.
        covered: share of films with at least 98% of the lungs inside the box with its margin.
    """

    dice: float
    box_error: float
    box_error_99: float
    not_found: Interval
    covered: Interval


@dataclass(frozen=True, slots=True)
class LocatorCheck:
    """How a converted locator differs from the Keras model on validation films.

    Attributes:
        dice: mean Dice of its masks to those of the Keras model.
        moved: share of films in which a side of the box moved by more than one cell of 32.
        found_changed: number of films in which only one of the two finds lungs.
        largest_difference: the largest difference of a logit.
        unequal: number of films whose box is not exactly the same, so that a classifier in this
            format sees other pixels than it was trained and verified on; None in folders that were
            made before it was counted.
    """

    dice: float
    moved: Interval
    found_changed: int
    largest_difference: float
    unequal: int | None = None


@dataclass(frozen=True, slots=True)
class LocatorRecord:
    """What ``locator.json`` says.

    Attributes:
        version: :data:`cxr_edge_runtime.bundle.manifest.LOCATOR_VERSION` of the code that made it.
        margin: how many times as wide and high as the lungs the box is that a classifier is shown.
        files: the two converted models by their names.
        weights: what the weights started from: ``imagenet``, ``none`` or a file's name.
        weights_sha256: SHA-256 of that file; empty if there was none.
        seed: seed of everything random.
        dataset_digest: digest of the films, their splits and labels, and their masks.
        films: how many it was trained on and measured on, by split.
        without_mask: how many films of these splits were left out, since they have no mask or one
            that shows no lung.
        metrics: how good it is on validation, by label.
        checks: how the converted models differ from it, by their names.
        versions: versions of Python and of the packages that matter.
        seconds: wall time of all epochs in seconds, without interruptions.
    """

    version: LocatorVersion
    margin: LocatorMargin
    files: dict[str, FileEntry]
    weights: str
    weights_sha256: str
    seed: int
    dataset_digest: str
    films: dict[str, int]
    without_mask: int
    metrics: dict[str, LocatorMetrics]
    checks: dict[str, LocatorCheck]
    versions: dict[str, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class LocatorFolder:
    """A locator that was read from a folder.

    Attributes:
        folder: where it lies.
        record: what ``locator.json`` says.
        content: the bytes of that file, by which runs know their locator.
    """

    folder: Path
    record: LocatorRecord
    content: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 of ``locator.json``, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    def model(self, format: str) -> bytes:
        """The bytes of the model in a format, ``tflite`` or ``onnx``.

        Raises:
            RunError: the file is missing or was changed.
        """
        name = MODELS[format]
        try:
            content = (self.folder / name).read_bytes()
        except OSError as error:
            raise RunError(
                f"{self.folder / name}: cannot be read ({error.strerror}); copy its folder again"
            ) from error
        if hashlib.sha256(content).hexdigest() != self.record.files[name].sha256:
            raise RunError(
                f"{self.folder / name}: is not the file that {RECORD} describes; train the locator "
                "again, or copy its folder again"
            )
        return content

    def locator(self, format: str = "tflite") -> Locator:
        """Load the locator, to prepare films exactly as a device does.

        Raises:
            RunError: the file is missing or was changed.
            EngineError: no engine takes it.
        """
        engine = open_model(self.model(format), format, LOCATOR_INPUT, LOCATOR_OUTPUTS)
        return Locator(
            engine,
            margin=self.record.margin,
            sha256=self.record.files[MODELS[format]].sha256,
        )


def preprocessor(
    spec: PreprocessSpec, locator: LocatorFolder | None, *, format: str = "tflite"
) -> Preprocessor:
    """From a film to model input, with a locator or, where there is none, the film as a whole.

    Raises:
        RunError: the locator's file is missing or was changed.
        EngineError: no engine takes it.
    """
    return Preprocessor(spec, locator.locator(format) if locator else None)


def write_record(folder: Path, record: LocatorRecord) -> None:
    """Write ``locator.json`` into a folder; all other files must have been written before."""
    write_text(folder / RECORD, json.dumps(asdict(record), indent=2, sort_keys=True) + "\n")


def read_locator(folder: Path) -> LocatorFolder:
    """Read a locator's folder.

    Raises:
        RunError: there is no finished locator, its record is damaged, or a converted model is
            missing or was changed.
    """
    file = folder / RECORD
    try:
        content = file.read_bytes()
        stated = parse_json(content)
        version = stated.get("version") if isinstance(stated, dict) else None
        if isinstance(version, int) and version > LOCATOR_VERSION:
            raise RunError(
                f"{file}: version {version} of the lung locator, this cxr-edge has "
                f"{LOCATOR_VERSION}; update cxr-edge"
            )
        record = from_json(LocatorRecord, stated, allow_defaults=True)
        if set(record.files) != set(MODELS.values()):
            raise TypedJsonError("files", f"must be {' and '.join(MODELS.values())}")
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(
            f"{folder}: no lung locator here ({RECORD} is missing); make one with "
            "cxr-edge train-locator"
        ) from None
    except (OSError, TypedJsonError) as error:
        raise RunError(f"{file}: damaged ({error}); train the locator again") from error
    locator = LocatorFolder(folder, record, content)
    for format in MODELS:
        locator.model(format)
    return locator
