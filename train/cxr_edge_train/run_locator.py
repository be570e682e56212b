"""The lung locator that a run keeps beside its model, for every later stage and for its bundles."""

from pathlib import Path

from cxr_edge_runtime.errors import RunError
from cxr_edge_runtime.files import write_bytes
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_runtime.preprocess import LUNG_BOX_VERSION
from cxr_edge_train.locator_folder import (
    MODELS,
    RECORD,
    LocatorFolder,
    preprocessor,
    read_locator,
)
from cxr_edge_train.runs import RUN, Run


def keep_locator(locator: LocatorFolder, folder: Path) -> None:
    """Copy a locator's record and its converted models into the folder of a run.

    Raises:
        RunError: a file is missing or was changed.
    """
    for format, name in MODELS.items():
        write_bytes(folder / name, locator.model(format))
    write_bytes(folder / RECORD, locator.content)


def locator_of(run: Run) -> LocatorFolder | None:
    """The locator that a run keeps; None where films were shown whole.

    Raises:
        RunError: it is missing, or not the one that the run was made with.
    """
    if (run.preprocess.version == LUNG_BOX_VERSION) != bool(run.locator_sha256):
        raise RunError(
            f"{run.folder / RUN}: a lung locator requires preprocess version {LUNG_BOX_VERSION}, "
            "which requires a lung locator; make the run again"
        )
    if not run.locator_sha256:
        return None
    if not (run.folder / RECORD).exists():
        raise RunError(f"{run.folder / RECORD}: is missing; copy the run again")
    locator = read_locator(run.folder)
    if locator.sha256 != run.locator_sha256:
        raise RunError(
            f"{run.folder / RECORD}: is not that of the lung locator that the run was made with; "
            "copy the run again, or train again"
        )
    return locator


def preprocessor_of(run: Run) -> Preprocessor:
    """From a film to the input of a run's model, with the locator in TFLite as in training.

    Raises:
        RunError: see :func:`locator_of`.
        EngineError: the locator cannot be loaded.
    """
    return preprocessor(run.preprocess, locator_of(run))
