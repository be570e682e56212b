"""Results of ``classify`` as CSV."""

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from cxr_edge_runtime.batch import Result
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import CxrEdgeError, InvalidRequest
from cxr_edge_runtime.files import replacing
from cxr_edge_runtime.images import SUFFIXES

CSV_COLUMNS = (
    "file", "label", "probability", "threshold", "gate", "reasons", "warnings", "error", "bundle",
    "notice",
)  # fmt: skip
_HEADER = ",".join(CSV_COLUMNS).encode()


def check_replaceable(path: Path) -> None:
    """Refuse to replace what a slip of the hand may have named: a film above all.

    Raises:
        InvalidRequest: the name is an image's, or the file holds something else than results.
        OSError: it cannot be read.
    """
    if path.suffix.lower() in SUFFIXES:
        raise InvalidRequest(f"{path}: is an image's name; name a CSV file")
    if not path.is_file():
        return
    with path.open("rb") as file:
        beginning = file.read(len(_HEADER))
    if beginning not in (b"", _HEADER):
        raise InvalidRequest(
            f"{path}: holds something else than results of classify; choose another file"
        )


def name_in_row(name: str) -> str:
    """An image's name as its row has it: bytes that are not UTF-8 become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def result_row(name: str, result: Result, bundle: Bundle) -> dict[str, str | float | None]:
    """One image's result by column; what it does not have is None.

    Args:
        name: of the image.
        result: what came of it.
        bundle: that was asked.
    """
    row: dict[str, str | float | None] = dict.fromkeys(CSV_COLUMNS)
    row |= {
        "file": name_in_row(name),
        "bundle": bundle.digest,
        "notice": bundle.manifest.notice,
    }
    if isinstance(result, CxrEdgeError):
        return row | {"error": str(result).encode("utf-8", "backslashreplace").decode()}
    return row | {
        "label": result.label,
        "probability": result.probability,
        "threshold": result.threshold,
        "gate": result.gate.verdict,
        "reasons": "; ".join(result.gate.reasons),
        "warnings": "; ".join(result.warnings),
    }


class CsvWriter:
    """A row per image in a file; a full disk is an error only when all images are done."""

    def __init__(self, file: TextIO, bundle: Bundle, path: Path) -> None:
        """Write to an open file, the header first; ``path`` is what errors call it."""
        self._bundle, self._file, self._path = bundle, file, path
        self._error: OSError | None = None
        self._rows = csv.DictWriter(file, CSV_COLUMNS)
        self._rows.writeheader()

    def write(self, image: Path, result: Result) -> None:
        """Write one result; nothing more once that failed."""
        if self._error:
            return
        row = result_row(str(image), result, self._bundle)
        # csv writes None as nothing.
        written = {
            name: f"{value:.6f}" if isinstance(value, float) else value
            for name, value in row.items()
        }
        try:
            self._rows.writerow(written)
            self._file.flush()
        except OSError as error:
            self._error = error

    def close(self) -> None:
        """Say whether all was written; the file is its opener's.

        Raises:
            OSError: it was not; the rows that were are not worth keeping.
        """
        if self._error:
            raise OSError(self._error.errno, self._error.strerror, str(self._path))


@contextmanager
def csv_writer(path: Path, bundle: Bundle) -> Iterator[CsvWriter]:
    """A writer to a file that is there, in whole, only when the block has ended well.

    Raises:
        InvalidRequest: the file is none of ``classify``; see :func:`check_replaceable`.
        OSError: it cannot be written.
    """
    check_replaceable(path)
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        yield CsvWriter(file, bundle, path)
