"""Folders that are either whole or not there."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxr_edge_runtime.errors import InvalidRequest


@contextmanager
def appearing_at_once(output: Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes ``output`` when the block ends well.

    When the block raises, nothing is left of the new folder, and what was at ``output`` is as it
    was. See :func:`cxr_edge_runtime.files.outputs.check_folder` for what may be there.

    Raises:
        OSError: the disk is full, or the folder cannot be made or written.
        InvalidRequest: another process wrote it within the block; its folder stays.
    """
    place = output.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    before = _identity(place)
    staging = _beside(place)
    try:
        staging.chmod(0o755)
        yield staging
        try:
            if _identity(place) != before:
                raise FileExistsError
            _put_in_place(staging, place)
        except OSError as error:
            # Between the two lines the other one may have been there, too.
            if _identity(place) == before:
                raise
            raise InvalidRequest(
                f"{output}: another process has written to it in the meantime; choose "
                "another output"
            ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _beside(output: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}-"))


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except FileNotFoundError:
        return None
    # To rename a folder leaves the time of its content.
    return found.st_ino, found.st_mtime_ns


def _put_in_place(staging: Path, output: Path) -> None:
    if not output.exists():
        staging.rename(output)
        return
    # A folder cannot be renamed over one that holds files, so the old one steps aside first.
    aside = _beside(output)
    try:
        output.rename(aside / output.name)
        staging.rename(output)
    finally:
        # Also when Ctrl-C came between the two.
        if not output.exists():
            (aside / output.name).rename(output)
        shutil.rmtree(aside, ignore_errors=True)
