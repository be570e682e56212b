"""Runs on the way: which folder belongs to which settings, and to one process at a time."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from cxr_edge_runtime.errors import InvalidRequest, RunError
from cxr_edge_runtime.files import write_text
from cxr_edge_train.snapshots import SNAPSHOT

SETTINGS = "unfinished.json"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class FitSettings:
    """All that the weights depend on; a fit goes on only with the same.

    Attributes:
        architecture: name in the registry.
        weights: where the weights began.
        seed: of everything random.
        dataset_digest: of the training and validation images.
        recipe: TOML text, defaults included.
        backend: of Keras; the state of another has another form.
    """

    architecture: str
    weights: str
    seed: int
    dataset_digest: str
    recipe: str
    backend: str


@contextmanager
def claimed(folder: Path, settings: FitSettings) -> Iterator[None]:
    """Own a run's folder while fitting; when the block ends well the claim is removed.

    Raises:
        InvalidRequest: the folder holds a finished run or an unfinished one of other settings, or
            another process trains there.
        RunError: what an earlier process left is damaged.
    """
    if (folder / "run.json").exists():
        raise InvalidRequest(f"{folder}: holds a finished run already; choose another --output")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InvalidRequest(
            f"{folder}: is a file or lies below one; choose another --output"
        ) from None
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InvalidRequest(f"{folder}: another process is training into this folder") from None
    try:
        left = _left_settings(folder)
        # Before its first epoch has ended a run has nothing to lose.
        if left is None or not (folder / SNAPSHOT).exists():
            write_text(folder / SETTINGS, json.dumps(asdict(settings), indent=2) + "\n")
        elif left != settings:
            one, other = asdict(left), asdict(settings)
            changed = [name for name in one if one[name] != other[name]]
            raise InvalidRequest(
                f"{folder}: holds an unfinished run with another {', '.join(changed)}; "
                "choose another --output, or remove the folder"
            )
        yield
        (folder / SETTINGS).unlink()
        (folder / _LOCK).unlink(missing_ok=True)
    finally:
        lock.release()


def folder_for(cache_dir: Path, settings: FitSettings) -> Path:
    """Where a run without ``--output`` goes, under ``cache_dir/runs``; nothing is made.

    Returns:
        The folder of an unfinished run of the same settings, else the first free
        ``ARCHITECTURE-NNN``.
    """
    for number in itertools.count(1):
        folder = cache_dir / "runs" / f"{settings.architecture}-{number:03}"
        if not folder.exists():
            return folder
        if not (folder / "run.json").exists() and _left_settings(folder) == settings:
            return folder
    raise AssertionError  # the numbers do not end


def _left_settings(folder: Path) -> FitSettings | None:
    file = folder / SETTINGS
    try:
        return FitSettings(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{file}: damaged ({error}); remove {folder} and train again") from error
