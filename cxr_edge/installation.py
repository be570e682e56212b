"""The bundles that are installed on a device: numbered folders and one link to the one in use.

::

    0001/  0002/        whole bundles that this device passed the self-test with
    current -> 0002     the one in use
    .lock               held while something is changed

A new bundle is unpacked and tried under another name, gets the next number, and is switched to by
renaming one link over the other. Only then are older ones removed. Whatever a process that was
killed, or a device that lost its power, leaves behind, ``current`` is the old bundle or the new
one; the next install tidies up, and what it cannot remove is in nobody's way.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.bundles import CURRENT
from cxr_edge.full_disk import full_disk_told
from cxr_edge.trial import try_out
from cxr_edge_runtime.archive import Archive, SignatureCheck, open_archive
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import BundleError, BundleInvalid, InstallationError, LimitMissed
from cxr_edge_runtime.manifest import SELFTEST_FILE, Manifest

_LOCK = ".lock"
_LINK = ".current"
_NUMBER = re.compile(r"[0-9]{4}|[1-9][0-9]{4,}")
# Before the number of a bundle that is not finished yet, or is going. Each has a name of its own:
# one that cannot be removed is not in the way of the next.
_NEW, _GOING = ".new-", ".going-"
_UNFINISHED = re.compile(rf"\.(?:new|going)-({_NUMBER.pattern})")


@dataclass(frozen=True, slots=True)
class Installed:
    """The bundle that is in use after a change.

    Attributes:
        path: its folder.
        manifest: what it says of itself.
        digest: SHA-256 of its ``bundle.json``, hexadecimal.
        changed: False where it was in use before, too.
        left: what should have been removed and could not be; it takes up room and does nothing.
    """

    path: Path
    manifest: Manifest
    digest: str
    changed: bool
    left: tuple[Path, ...] = ()


def install(
    archive: Path,
    folder: Path,
    *,
    check: SignatureCheck | None,
    trial: Callable[[Path], None] = try_out,
) -> Installed:
    """Put the bundle of an archive in the place of the one in use, which is kept as the previous.

    When it fails, or is killed at any moment, what was in use stays in use. Once it has switched,
    it does not fail for what it cannot remove.

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
    _refuse_file(folder)
    with open_archive(archive, check=check) as opened:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            before = _current_number(folder)
            # A number that was given once names that bundle; also one that was rolled back from.
            number = max([before, *_numbers(folder), *_unfinished(folder).values()]) + 1
            # What a killed process left may take up the room for this one.
            _remove_unfinished(folder)
            current = _current_if_same(folder, opened)
            if current is not None:
                path = current.path
            else:
                _require_golden_inputs(opened.manifest, archive)
                _require_space(opened.manifest, folder)
                new = folder / f"{_NEW}{_name(number)}"
                try:
                    _unpack_and_try(opened, new, archive, trial)
                except BaseException:
                    shutil.rmtree(new, ignore_errors=True)
                    raise
                path = new.rename(folder / _name(number))
                # One that was rolled back from, or never used, must not become the previous one.
                _set_aside(folder, [n for n in _numbers(folder) if 0 < before < n < number])
                _switch(folder, number)
            left = _tidy(folder)
    return Installed(path, opened.manifest, opened.digest, changed=current is None, left=left)


def roll_back(folder: Path) -> Installed:
    """Switch to the newest bundle before the one in use that is whole.

    Raises:
        InstallationError: there is none, or an install is at work.
    """
    _refuse_file(folder)
    if folder.is_dir():
        with _alone(folder):
            bundle = _previous(folder)
            if bundle is not None:
                _switch(folder, int(bundle.path.name))
                return Installed(bundle.path, bundle.manifest, bundle.digest, changed=True)
    raise InstallationError(f"{folder}: no bundle to go back to; nothing was changed")


def _refuse_file(folder: Path) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise InstallationError(f"{folder}: is not a folder; bundles are installed into one")


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


def _unfinished(folder: Path) -> dict[Path, int]:
    """What is not a bundle yet, or no longer, and the number that it was to have or had."""
    named = {path: _UNFINISHED.fullmatch(path.name) for path in folder.iterdir()}
    return {path: int(name[1]) for path, name in named.items() if name}


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
    """The newest bundle before the one in use that is whole and another.

    Where the link is lost, every bundle was before.
    """
    current = _current_number(folder)
    used = _whole(folder / _name(current))
    for number in sorted(_numbers(folder), reverse=True):
        if number < current or not current:
            bundle = _whole(folder / _name(number))
            if bundle and (used is None or bundle.digest != used.digest):
                return bundle
    return None


def _whole(path: Path) -> Bundle | None:
    """The bundle of a folder, unless it is missing, damaged or on a bad spot of the disk."""
    try:
        return Bundle.load(path)
    except (BundleError, OSError):
        return None


def _current_if_same(folder: Path, opened: Archive) -> Bundle | None:
    """The bundle in use where it is that of the archive, and whole."""
    bundle = _whole(folder / _name(_current_number(folder)))
    with suppress(BundleError):  # of a damaged signature
        if bundle and (bundle.digest, bundle.signature()) == (opened.digest, opened.signature):
            return bundle
    return None


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
    with full_disk_told(new.parent, "make room first"):
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


def _tidy(folder: Path) -> tuple[Path, ...]:
    """Remove all but the bundle in use and the previous one; returns what could not be removed.

    The highest number stays, too, lest it be given again: of one that was rolled back from.
    """
    numbers, previous = _numbers(folder), _previous(folder)
    kept = {_current_number(folder), max(numbers), int(previous.path.name) if previous else 0}
    over = set(numbers) - kept
    _set_aside(folder, over)
    _remove_unfinished(folder)
    left = [*_unfinished(folder), *(folder / _name(number) for number in over)]
    return tuple(path for path in left if os.path.lexists(path))


def _set_aside(folder: Path, numbers: Iterable[int]) -> None:
    """Under its number a folder that is half removed could be taken for a bundle."""
    for number in numbers:
        with suppress(OSError):
            (folder / _name(number)).rename(folder / f"{_GOING}{_name(number)}")


def _remove_unfinished(folder: Path) -> None:
    for path in _unfinished(folder):
        shutil.rmtree(path, ignore_errors=True)
    (folder / _LINK).unlink(missing_ok=True)


def _sync(*paths: Path) -> None:
    """Have files and folders written to the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
