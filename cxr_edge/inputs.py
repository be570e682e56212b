"""The image files that paths, folders and patterns name, in a stable order."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from cxr_edge.path_lines import Data, lines_as_they_come
from cxr_edge_runtime.errors import ImageError, ImageNotFound, ImageNotReadable
from cxr_edge_runtime.images import HEATMAP_SUFFIX, is_image_file

# An image's path, or a path that gives none with the reason.
Input = tuple[Path, ImageError | None]

_STDIN = "-"
_NO_PERMISSION = "permission denied; check the permissions"


def expand(
    inputs: Iterable[Path], *, recursive: bool = False, stdin: TextIO | None = None
) -> Iterator[Input]:
    """Expand files, folders and patterns to image files, those of a folder by name.

    In a folder, images are known by their suffix, DICOM files by their first bytes; hidden files
    and heat maps are skipped.

    Args:
        inputs: as given.
        recursive: search the folders in a folder, too.
        stdin: where ``-`` reads paths from, one per line.

    Yields:
        Each image's path and None; for what gives no image, its path and the error.
    """
    for found in expand_as_it_comes(inputs, recursive=recursive, stdin=stdin):
        if found is not None:
            yield found


def expand_as_it_comes(
    inputs: Iterable[Path], *, recursive: bool = False, stdin: TextIO | None = None
) -> Iterator[Input | None]:
    """Expand as :func:`expand` does, and say when the next image is not there yet.

    Args:
        inputs: as given.
        recursive: search the folders in a folder, too.
        stdin: where ``-`` reads paths from, from its beginning.

    Yields:
        As :func:`expand`; and None before it waits for another line of ``stdin``.
    """
    for given in inputs:
        if is_stdin(given) and stdin is not None:
            yield from _listed(stdin, recursive)
            continue
        try:
            is_folder = given.is_dir()
            pattern = "" if os.path.lexists(given) else str(given)
            matches = sorted(_matching(pattern))
        except PermissionError:
            yield given, ImageNotReadable(f"{given}: {_NO_PERMISSION}")
            continue
        except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
            yield given, ImageNotReadable(f"{given}: cannot be read ({error})")
            continue
        if is_folder:
            yield from _images_in(given, recursive)
        elif matches:
            yield from expand(map(Path, matches), recursive=recursive)
        else:
            yield given, None


def existing(inputs: Iterable[Path], *, stdin: TextIO | None = None) -> list[Path]:
    """The images of :func:`expand`, folders searched with all below them.

    Raises:
        ImageError: something gives no image.
    """
    images = []
    for path, error in expand(inputs, recursive=True, stdin=stdin):
        if error:
            raise error
        images.append(path)
    return images


def is_stdin(given: Path) -> bool:
    """Whether an input stands for the paths on standard input."""
    return str(given) == _STDIN


def _matching(pattern: str) -> set[str]:
    """What matches a pattern, in which ``**`` stands for any folders that are not hidden.

    Links are followed, but no folder is searched twice: where two links lead to a folder above
    them, glob's own search for ``**`` does not end.
    """
    parts = Path(pattern).parts
    if "**" not in parts:
        return set(glob.glob(pattern))  # noqa: PTH207  # Path.glob takes no pattern with a root
    at = parts.index("**")
    top, below = str(Path(*parts[:at])), parts[at:]
    while below[:1] == ("**",):
        below = below[1:]
    matches: set[str] = set()
    searched: set[str] = set()
    for start in sorted(glob.glob(top)):  # noqa: PTH207
        for here, folders, names in os.walk(start, followlinks=True):
            if (place := os.path.realpath(here)) in searched:
                folders.clear()
                continue
            searched.add(place)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            if below:
                matches |= _matching(str(Path(glob.escape(here), *below)))
            else:
                shown = (name for name in names if not name.startswith("."))
                matches |= {here, *(str(Path(here, name)) for name in shown)}
    return matches


def _listed(stdin: TextIO, recursive: bool) -> Iterator[Input | None]:
    """The images that the lines of standard input name."""
    found = False
    try:
        for name in lines_as_they_come(stdin):
            if name is None:
                yield None
            elif name:
                found = True
                yield from expand([Path(name)], recursive=recursive)
    except Data:
        # A film itself would be thousands of lines.
        yield (
            Path(_STDIN),
            ImageNotReadable(
                "standard input is not text; - takes the paths of images, one per line"
            ),
        )
        return
    if not found:
        yield Path(_STDIN), ImageNotFound("standard input names no image")


def _images_in(folder: Path, recursive: bool) -> Iterator[Input]:
    failed: list[OSError] = []
    found = False
    for here, folders, names in os.walk(folder, onerror=failed.append):
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        for path in (Path(here, name) for name in sorted(names)):
            passed_over = path.name.startswith(".") or path.name.endswith(HEATMAP_SUFFIX)
            if not passed_over and is_image_file(path):
                found = True
                yield path, None
    for error in failed:
        found = True
        yield Path(error.filename), ImageNotReadable(f"{error.filename}: {_reason(error)}")
    if not found:
        deeper = "" if recursive else "; search its subfolders too (recursive)"
        where = "in" if recursive else "directly in"
        yield folder, ImageNotFound(f"{folder}: no image {where} this folder{deeper}")


def _reason(error: OSError) -> str:
    return _NO_PERMISSION if isinstance(error, PermissionError) else str(error.strerror)
