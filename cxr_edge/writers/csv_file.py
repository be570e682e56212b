"""Results of ``classify`` as CSV."""

import csv
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TextIO

from cxr_edge_runtime.batch import Result
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.files import text_output
from cxr_edge_runtime.files.outputs import check_file, has_first_line
from cxr_edge_runtime.images import SUFFIXES
from cxr_edge_runtime.probability import digits_apart
from cxr_edge_runtime.result_json import ImageProblem, image_result


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """A row of classify's CSV file and of ``score``; None where the result has no such value.

    Attributes:
        file: the name of the image; bytes that are not UTF-8 are escapes.
        label: see :class:`cxr_edge_runtime.result_json.ImageResult`.
        probability: of the positive label.
        logit: the model's raw output.
        threshold: the positive label is given at or above this probability.
        borderline: whether a change of the greys by one level could turn the answer.
        prevalence: the share of positive images that both stand for.
        gate: the verdict of the input gate.
        distance: how far the image is from the films that the model was trained on.
        reasons: those of the verdict, joined by semicolons.
        warnings: what is suspicious about the image, joined by semicolons.
        error: why there is no result.
        image_sha256: of the image's file.
        bundle: SHA-256 of the bundle's ``bundle.json``.
        notice: what the result may not be used for.
    """

    file: str
    label: str | None = None
    probability: float | None = None
    logit: float | None = None
    threshold: float | None = None
    borderline: bool | None = None
    prevalence: float | None = None
    gate: str | None = None
    distance: float | None = None
    reasons: str | None = None
    warnings: str | None = None
    error: str | None = None
    image_sha256: str | None = None
    bundle: str
    notice: str

    @classmethod
    def of(cls, name: str, result: Result, bundle: Bundle) -> "ResultRow":
        """The row of an image.

        Args:
            name: of the image.
            result: the prediction, or the error that kept the image from one.
            bundle: that classified.
        """
        said = image_result(name, result, bundle)
        row = partial(
            cls, file=name_in_row(name), bundle=bundle.digest, notice=bundle.manifest.notice
        )
        if isinstance(said, ImageProblem):
            error = said.error.message.encode("utf-8", "backslashreplace").decode()
            return row(error=error)
        return row(
            label=said.label,
            probability=said.probability,
            logit=said.logit,
            threshold=said.threshold,
            borderline=said.borderline,
            prevalence=said.prevalence,
            gate=said.gate.verdict,
            distance=said.gate.distance,
            reasons="; ".join(said.gate.reasons),
            warnings="; ".join(said.warnings),
            image_sha256=said.image_sha256,
        )


_DIGITS = 6
CSV_COLUMNS = tuple(field.name for field in fields(ResultRow))
# Also those of earlier versions.
_LATER = ({"logit", "borderline", "distance", "image_sha256"}, {"prevalence"})
_IS_RESULTS = has_first_line(
    *(
        ",".join(name for name in CSV_COLUMNS if name not in set().union(*_LATER[:count]))
        for count in range(len(_LATER) + 1)
    )
)

# What spreadsheets take for the beginning of a formula, also in the width of Chinese characters.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
# But for the end of a line, which quotes make a part of the text.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def check_output(path: Path) -> None:
    """Check that results may be written into a file.

    Raises:
        InvalidRequest: the name is an image's, the file holds something else than results, or it
            cannot be written there.
    """
    if path.suffix.lower() in SUFFIXES:
        raise InvalidRequest(f"{path}: has the suffix of an image; name a CSV file")
    check_file(path, "a CSV file of classify", ours=_IS_RESULTS, stdout=True)


def _as_text(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.{_DIGITS}f}" if isinstance(value, float) else _cell(value)


def _cell(text: str) -> str:
    """Text as neither a terminal nor a spreadsheet obeys it, which run what begins like a formula.

    The names of files are another's choice, and messages begin with them.
    """
    shown = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def name_in_row(name: str) -> str:
    """An image's name as its row has it: bytes that are not UTF-8 become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


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
        name = str(image)
        if name.startswith(_FORMULA):
            name = f"./{name}"  # still its path
        # csv writes None as nothing.
        row = ResultRow.of(name, result, self._bundle)
        written = {
            column: None if value is None else _as_text(value)
            for column, value in asdict(row).items()
        }
        if row.probability is not None and row.threshold is not None:
            digits = digits_apart(row.probability, row.threshold, at_least=_DIGITS)
            for column, value in (("probability", row.probability), ("threshold", row.threshold)):
                written[column] = f"{value:.{digits}f}"
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
        InvalidRequest: see :func:`check_output`.
        OSError: the file cannot be written.
    """
    check_output(path)
    with text_output(path) as file:
        yield CsvWriter(file, bundle, path)
