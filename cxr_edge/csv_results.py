"""Results of ``classify`` as CSV."""

import csv
import os
from pathlib import Path
from typing import TextIO

from cxr_edge_runtime.batch import Result
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import CxrEdgeError, InvalidRequest
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
        raise InvalidRequest(f"--csv {path}: is an image's name; name a CSV file")
    if not path.is_file():
        return
    with path.open("rb") as file:
        beginning = file.read(len(_HEADER))
    if beginning not in (b"", _HEADER):
        raise InvalidRequest(
            f"--csv {path}: holds something else than results of classify; choose another file"
        )


class CsvWriter:
    """A row an image in a file; a full disk is an error only when all images are done."""

    def __init__(self, file: TextIO, bundle: Bundle, path: Path) -> None:
        """Write to an open file, the header first; ``path`` is what errors call it."""
        self._bundle, self._file, self._path = bundle, file, path
        self._error: OSError | None = None
        self._rows = csv.DictWriter(file, CSV_COLUMNS, restval="")
        self._rows.writeheader()

    def write(self, image: Path, result: Result) -> None:
        """Write one result; nothing more once that failed."""
        if self._error:
            return
        manifest = self._bundle.manifest
        # Bytes of a name that are not UTF-8 become escapes.
        name = os.fsencode(image).decode("utf-8", "backslashreplace")
        row = {"file": name, "bundle": self._bundle.digest, "notice": manifest.notice}
        if isinstance(result, CxrEdgeError):
            row |= {"error": str(result).encode("utf-8", "backslashreplace").decode()}
        else:
            row |= {
                "label": result.label or "",
                "probability": "" if result.probability is None else f"{result.probability:.6f}",
                "threshold": f"{result.threshold:.6f}",
                "gate": result.gate.verdict,
                "reasons": "; ".join(result.gate.reasons),
                "warnings": "; ".join(result.warnings),
            }
        try:
            self._rows.writerow(row)
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
