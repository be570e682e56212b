"""Results of ``classify`` as a table and as JSON lines."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cxr_edge.bundles.notice import notice_of
from cxr_edge.console.durations import elapsed
from cxr_edge.console.terminal import printable, say
from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import CxrEdgeError

if TYPE_CHECKING:
    from cxr_edge.writers.classified_files import Counts
    from cxr_edge_runtime.batch import Result
    from cxr_edge_runtime.bundle import Bundle


class TableWriter:
    """A row per image on standard output, notes indented below it; errors on standard error."""

    def __init__(self, bundle: "Bundle", *, err: bool = False) -> None:
        """Write for a bundle; everything to standard error where the other is taken."""
        self._bundle, self._err = bundle, err
        self._begun = False

    def write(self, image: Path, result: "Result") -> None:
        """Write one result."""
        if isinstance(result, CxrEdgeError):
            say(f"cxr-edge: {result}")
            return
        if not self._begun:
            typer.echo("label      probability  threshold  gate         file", err=self._err)
            self._begun = True
        label = result.label or "–"
        probability, threshold = _told_apart(result.probability, result.threshold)
        typer.echo(
            f"{label:<9}  {probability:>11}  {threshold:>9}  "
            f"{result.gate.verdict:<11}  {printable(str(image))}",
            err=self._err,
        )
        notes = [*result.gate.reasons, *result.warnings]
        if result.borderline:
            notes.append("borderline: a change of one grey level could change the answer")
        for note in notes:
            typer.echo(f"  ↳ {printable(note)}", err=self._err)

    def close(self) -> None:
        """Write the notice, where there was a result."""
        if self._begun:
            typer.echo(f"{notice_of(self._bundle)}.", err=self._err)


def counts_line(counts: "Counts", seconds: float, written: Iterable[Path | None]) -> str:
    """What became of the images, ``4 images in 0.3 s: 2 NORMAL, 2 PNEUMONIA, …``, in one line.

    Args:
        counts: of them.
        seconds: the time it took.
        written: files and folders that the results went to as well.
    """
    from cxr_edge_runtime.gate import NOT_CHECKED, REJECTED, SUSPICIOUS

    shown = [NOT_CHECKED] if counts.verdicts[NOT_CHECKED] else [SUSPICIOUS, REJECTED]
    parts = [
        *counts.labels.items(),
        *((verdict.replace("_", " "), counts.verdicts[verdict]) for verdict in shown),
        ("failed", counts.failed),
    ]
    if counts.unwritten:
        parts.append(("with an output missing", counts.unwritten))
    images = counted(counts.classified + counts.failed, "image")
    listed = ", ".join(f"{number} {name}" for name, number in parts)
    places = [printable(str(path)) for path in written if path is not None]
    return " · ".join((f"{images} in {elapsed(seconds)}: {listed}", *places))


def _told_apart(probability: float | None, threshold: float) -> tuple[str, str]:
    """Both with three digits, or as many more as show which one is larger."""
    from cxr_edge_runtime.probability import digits_apart

    if probability is None:
        return "–", f"{threshold:.3f}"
    digits = digits_apart(probability, threshold, at_least=3)
    return f"{probability:.{digits}f}", f"{threshold:.{digits}f}"


class JsonWriter:
    """One JSON object per line on standard output."""

    def __init__(self, bundle: "Bundle") -> None:
        """Write for a bundle."""
        self._bundle = bundle

    def write(self, image: Path, result: "Result") -> None:
        """Write one result."""
        from cxr_edge_runtime.result_json import as_json, image_result

        typer.echo(json.dumps(as_json(image_result(str(image), result, self._bundle))))

    def close(self) -> None:
        """Nothing is left to write: each line has the notice."""
