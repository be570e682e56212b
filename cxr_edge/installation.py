"""The bundles that are installed on a device: numbered folders and one link to the one in use.

::

    0001/  0002/        whole bundles that this device passed the self-test with
    current -> 0002     the one in use
    .lock               held while something is changed

A new bundle is unpacked and tried under another name, gets the next number, and is switched to by
renaming one link over the other. Whatever a process that was killed, or a device that lost its
power, leaves behind, ``current`` is the old bundle or the new one; the next install tidies up.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.bundles import CURRENT
from cxr_edge.trial import try_out
from cxr_edge_runtime.archive import Archive, SignatureCheck, open_archive
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import BundleError, BundleInvalid, InstallationError, LimitMissed
from cxr_edge_runtime.manifest import SELFTEST_FILE, Manifest

_LOCK = ".lock"
# What is not finished yet, or is going. One install is at work at a time, so one name each will do.
_NEW, _GOING, _LINK = ".new", ".going", ".current"
_NUMBER = re.compile(r"[0-9]{4}|[1-9][0-9]{4,}")


@dataclass(frozen=True, slots=True)
class Installed:
    """The bundle that is in use after a change.

    Attributes:
        path: its folder.
        manifest: what it says of itself.
        digest: SHA-256 of its ``bundle.json``, hexadecimal.
        changed: False where it was in use before, too.
    """

    path: Path
    manifest: Manifest
    digest: str
    changed: bool


def install(
    archive: Path,
    folder: Path,
    *,
    check: SignatureCheck | None,
    trial: Callable[[Path], None] = try_out,
) -> Installed:
    """Put the bundle of an archive in the place of the one in use, which is kept as the previous.

    When it fails, or is killed at any moment, what was in use stays in use.

    Args:
        archive: made by ``cxr-edge pack``.
        folder: of the installed bundles; made where absent.
        check: of the signature; None takes any bundle, signed or not.
        trial: given the unpacked bundle, raises when this device should not use it.

    Raises:
        BundleError: the archive cannot be used; see
            :func:`cxr_edge_runtime.archive.open_archive`.
        LimitMissed: the self-test missed its limit.
        InstallationError: another install is at work, the disk is too full, or the trial failed.
    """
    with open_archive(archive, check=check) as opened:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            # A number that was given once names that bundle; also one that was rolled back from.
            number = max([*_numbers(folder), _current_number(folder)]) + 1
            _tidy(folder)
            current = _current_if_same(folder, opened)
            if current is not None:
                return Installed(current.path, opened.manifest, opened.digest, changed=False)
            _require_golden_inputs(opened.manifest, archive)
            _require_space(opened.manifest, folder)
            try:
                _unpack_and_try(opened, folder / _NEW, archive, trial)
                path = (folder / _NEW).rename(folder / _name(number))
                _switch(folder, number)
            finally:
                _tidy(folder)
    return Installed(path, opened.manifest, opened.digest, changed=True)


def roll_back(folder: Path) -> Installed:
    """Switch to the newest bundle before the one in use that is whole.

    Raises:
        InstallationError: there is none, or an install is at work.
    """
    if folder.is_dir():
        with _alone(folder):
            bundle = _previous(folder)
            if bundle is not None:
                _switch(folder, int(bundle.path.name))
                return Installed(bundle.path, bundle.manifest, bundle.digest, changed=True)
    raise InstallationError(f"{folder}: no bundle to go back to; nothing was changed")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Within, no other process changes the folder; the lock ends with the process."""
    with (folder / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InstallationError(
                f"{folder}: another install is at work here; try again when it has ended"
            ) from None
        yield


def _numbers(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.iterdir() if _NUMBER.fullmatch(path.name)]


def _name(number: int) -> str:
    return f"{number:04}"


def _current_number(folder: Path) -> int:
    """The number that is in use, whether there is such a bundle or not; 0 where there is none."""
    link = folder / CURRENT
    if not link.is_symlink():
        if link.exists():
            raise InstallationError(f"{link}: is not a link that install made; move it away")
        return 0
    target = str(link.readlink())
    return int(target) if _NUMBER.fullmatch(target) else 0


def _previous(folder: Path) -> Bundle | None:
    """The newest whole bundle before the one in use."""
    current = _current_number(folder)
    for number in sorted(_numbers(folder), reverse=True):
        if number < current:
            try:
                return Bundle.load(folder / _name(number))
            except BundleError:
                continue
    return None


def _current_if_same(folder: Path, opened: Archive) -> Bundle | None:
    """The bundle in use where it is that of the archive, and whole."""
    try:
        bundle = Bundle.load(folder / _name(_current_number(folder)))
        same = (bundle.digest, bundle.signature()) == (opened.digest, opened.signature)
    except BundleError:
        return None
    return bundle if same else None


def _require_golden_inputs(manifest: Manifest, archive: Path) -> None:
    if SELFTEST_FILE not in manifest.files:
        raise BundleInvalid(
            f"{archive}: has no golden inputs ({SELFTEST_FILE}), so this device cannot be "
            "compared; convert the model again with this version"
        )


def _require_space(manifest: Manifest, folder: Path) -> None:
    size = sum(entry.bytes for entry in manifest.files.values())
    free = shutil.disk_usage(folder).free
    if free < size:
        raise InstallationError(
            f"{folder}: {free:,} bytes are free, the bundle needs {size:,}; make room first"
        )


def _unpack_and_try(
    opened: Archive, new: Path, archive: Path, trial: Callable[[Path], None]
) -> None:
    new.mkdir()
    opened.unpack(new)
    _sync(*new.iterdir(), new)
    try:
        trial(new)
    except (LimitMissed, InstallationError) as error:
        raise type(error)(
            f"{archive}: fails on this device, so nothing was changed: {error}"
        ) from None


def _switch(folder: Path, number: int) -> None:
    """Make a bundle the one in use, in a single rename."""
    # A disk may write in another order than it was told to, unless it is told to finish.
    _sync(folder)
    link = folder / _LINK
    link.unlink(missing_ok=True)
    link.symlink_to(_name(number))
    link.replace(folder / CURRENT)
    _sync(folder)


def _tidy(folder: Path) -> None:
    """Remove all but the bundle in use and the previous one."""
    previous = _previous(folder)
    kept = {_current_number(folder), int(previous.path.name) if previous else 0}
    for name in (_NEW, _GOING, _LINK):
        _remove(folder / name)
    for number in set(_numbers(folder)) - kept:
        # Under its number a folder that is half removed could be taken for a bundle.
        going = (folder / _name(number)).rename(folder / _GOING)
        _remove(going)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(*paths: Path) -> None:
    """Have files and folders written to the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
