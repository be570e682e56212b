"""What the user names on the command line, as image files in a stable order."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from cxr_edge_runtime.errors import ImageError, ImageNotFound, ImageNotReadable
from cxr_edge_runtime.images import SUFFIXES


def expand(inputs: Iterable[Path]) -> Iterator[tuple[Path, ImageError | None]]:
    """Files as they are; of a folder the images directly in it, by name.

    Yields:
        Each image's path and None; for a folder that gives no image, its path and the error.
    """
    for given in inputs:
        try:
            if not given.is_dir():
                yield given, None
                continue
            images = sorted(
                entry
                for entry in given.iterdir()
                if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".")
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
            yield given, ImageNotReadable(f"{given}: cannot be read ({error})")
            continue
        if not images:
            yield (
                given,
                ImageNotFound(
                    f"{given}: no image directly in this folder; folders in it are not searched"
                ),
            )
        yield from ((image, None) for image in images)
