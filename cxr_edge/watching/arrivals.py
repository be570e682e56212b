"""Files that have arrived in a folder as a whole.

The folder is looked at again and again: a network share reports no changes.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cxr_edge.watching.journal import Stamp, stamp_of


class Arrivals:
    """Which files of a folder have not changed for a while.

    Attributes:
        unreadable: the folders in it that could not be read at the last look, and why.
    """

    def __init__(
        self, folder: Path, *, settle_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Watch a folder.

        Args:
            folder: the folder, with all below it.
            settle_s: a file is whole when size and time have been the same for so many seconds.
            clock: gives seconds; replaced in tests.
        """
        self._folder, self._settle_s, self._clock = folder, settle_s, clock
        self._seen: dict[Path, tuple[Stamp, float]] = {}
        self.unreadable: dict[Path, str] = {}

    def settled(self) -> list[tuple[Path, Stamp]]:
        """Look once, and give the files that are whole with their stamps, the oldest first.

        Hidden files and folders are left alone: programs that copy call them so until they are
        whole. So are links, and what is neither file nor folder.

        Raises:
            OSError: the folder is not there, as a share that is not mounted.
        """
        self.unreadable = {}
        now, found = self._clock(), dict(self._files(self._folder))
        self._seen = {
            path: before
            if (before := self._seen.get(path)) and before[0] == stamp
            else (stamp, now)
            for path, stamp in found.items()
        }
        whole = [
            (path, stamp)
            for path, (stamp, since) in self._seen.items()
            if now - since >= self._settle_s
        ]
        return sorted(whole, key=lambda file: (file[1][1], str(file[0])))

    def forget(self, path: Path) -> None:
        """Look at a path anew: what lies there next is another file."""
        self._seen.pop(path, None)

    def _files(self, folder: Path) -> Iterator[tuple[Path, Stamp]]:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            if entry.name.startswith("."):
                continue
            path = Path(entry.path)
            try:
                if entry.is_dir(follow_symlinks=False):
                    yield from self._files(path)
                elif entry.is_file(follow_symlinks=False):
                    yield path, stamp_of(entry.stat(follow_symlinks=False))
            except FileNotFoundError:  # gone since it was listed
                continue
            except OSError as error:  # the others are answered
                self.unreadable[path if _is_folder(entry) else folder] = str(error.strerror)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
