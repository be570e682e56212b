"""The folder that bundles are installed in: numbered folders and one link to the one in use.

::

    0001/  0002/        whole bundles that this device passed the self-test with
    current -> 0002     the one in use
    .lock               held while something is changed
    .new-0003/          not finished yet, or never
    .going-0001/        being removed, or what could not be

Whatever a process that was killed, or a device that lost its power, leaves behind, ``current`` is
one whole bundle.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cxr_edge.bundles.lookup import CURRENT
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import BundleError, InstallationError

LOCK = ".lock"
_LINK = ".current"
_NUMBER = re.compile(r"[0-9]{4}|[1-9][0-9]{4,}")
# Before the number of a bundle that is not finished yet, or is going. Each has a name of its own:
# one that cannot be removed is not in the way of the next.
_NEW, _GOING = ".new-", ".going-"
_UNFINISHED = re.compile(rf"\.(?:new|going)-({_NUMBER.pattern})")


class BundleFolder:
    """The bundles in a folder, by their numbers; 0 means that there is none.

    Attributes:
        path: of the folder, which may be missing.
    """

    def __init__(self, path: Path) -> None:
        """Look at a folder; nothing is made or read yet.

        Raises:
            InstallationError: it is a file.
        """
        if os.path.lexists(path) and not path.is_dir():
            raise InstallationError(f"{path}: is not a folder; name the folder to install into")
        self.path = path

    @contextmanager
    def exclusive_lock(self) -> Iterator[None]:
        """Hold the lock of the folder, which no two processes have; it ends with the process.

        Raises:
            InstallationError: another process has the lock.
        """
        with (self.path / LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InstallationError(
                    f"{self.path}: another install is running here; try again when it has finished"
                ) from None
            yield

    def path_of(self, number: int) -> Path:
        """The path of a bundle that is there or would be."""
        return self.path / _name(number)

    def new_path(self, number: int) -> Path:
        """The path of a bundle until it is finished."""
        return self.path / f"{_NEW}{_name(number)}"

    def numbers(self) -> list[int]:
        """The numbers of the bundles that exist, whole or not."""
        return [int(path.name) for path in self.path.iterdir() if _NUMBER.fullmatch(path.name)]

    def next_number(self) -> int:
        """A number that no bundle has or had."""
        given = [self.current_number(), *self.numbers(), *self._unfinished().values()]
        return max(given) + 1

    def current_number(self) -> int:
        """The number that is in use, whether there is such a bundle or not; 0 where none is.

        Raises:
            InstallationError: something else has the path of the link.
        """
        link = self.path / CURRENT
        if not link.is_symlink():
            if link.exists():
                raise InstallationError(f"{link}: is not a link made by install; move it away")
            return 0
        target = str(link.readlink())
        return int(target) if _NUMBER.fullmatch(target) else 0

    def current(self) -> Bundle | None:
        """The bundle in use, where it is whole."""
        return self._whole(self.current_number())

    def previous(self) -> Bundle | None:
        """The newest bundle before the one in use that is whole and another.

        Where the link is lost, every bundle was before.
        """
        number_in_use, in_use = self.current_number(), self.current()
        for number in sorted(self.numbers(), reverse=True):
            if number < number_in_use or not number_in_use:
                bundle = self._whole(number)
                if bundle and (in_use is None or bundle.digest != in_use.digest):
                    return bundle
        return None

    def switch(self, number: int) -> None:
        """Make a bundle the one in use, in a single rename."""
        # A disk may write in another order than it was told to, unless it is told to finish.
        sync(self.path)
        link = self.path / _LINK
        link.unlink(missing_ok=True)
        link.symlink_to(_name(number))
        link.replace(self.path / CURRENT)
        sync(self.path)

    def set_aside(self, numbers: Iterable[int]) -> None:
        """Take bundles out of use for good; what cannot be renamed stays.

        Under its number a folder that is half removed could be taken for a bundle.
        """
        for number in numbers:
            with suppress(OSError):
                self.path_of(number).rename(self.path / f"{_GOING}{_name(number)}")

    def remove_unfinished(self) -> None:
        """Remove what is no bundle yet, or no longer, as far as it can be removed."""
        for path in self._unfinished():
            shutil.rmtree(path, ignore_errors=True)
        (self.path / _LINK).unlink(missing_ok=True)

    def tidy(self) -> tuple[Path, ...]:
        """Remove all but the bundle in use and the previous one; gives what could not be removed.

        The highest number stays, too, lest it be given again: of one that was rolled back from.
        """
        numbers, previous = self.numbers(), self.previous()
        kept = {self.current_number(), max(numbers), int(previous.path.name) if previous else 0}
        over = set(numbers) - kept
        self.set_aside(over)
        self.remove_unfinished()
        left = [*self._unfinished(), *map(self.path_of, over)]
        return tuple(path for path in left if os.path.lexists(path))

    def _unfinished(self) -> dict[Path, int]:
        """What is not a bundle yet, or no longer, and the number that it was to have or had."""
        named = {path: _UNFINISHED.fullmatch(path.name) for path in self.path.iterdir()}
        return {path: int(name[1]) for path, name in named.items() if name}

    def _whole(self, number: int) -> Bundle | None:
        """A bundle, unless it is missing, damaged or on a bad spot of the disk."""
        try:
            return Bundle.load(self.path_of(number))
        except (BundleError, OSError):
            return None


def sync(*paths: Path) -> None:
    """Have files and folders written to the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _name(number: int) -> str:
    return f"{number:04}"
