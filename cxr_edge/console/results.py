"""Results of ``classify`` as a table and as JSON lines."""

import json
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import typer

from cxr_edge.bundles.notice import notice_of
from cxr_edge.console.durations import elapsed
from cxr_edge.console.terminal import printable, say
from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import CxrEdgeError

if TYPE_CHECKING:
    from cxr_edge_runtime.batch import Result
    from cxr_edge_runtime.bundle import Bundle


class TableWriter:
    """A row per image on standard output, notes indented below it; errors on standard error.

    Of several images, or where files are written, a line at the end counts what became of them.
    """

    def __init__(
        self, bundle: "Bundle", *, written: Iterable[Path | None] = (), err: bool = False
    ) -> None:
        """Write for a bundle.

        Args:
            bundle: whose answers these are.
            written: files and folders that the results go to as well.
            err: write everything to standard error, since the other is taken.
        """
        from cxr_edge_runtime.gate import REJECTED, SUSPICIOUS

        self._bundle, self._err = bundle, err
        self._written = [printable(str(path)) for path in written if path is not None]
        self._labels = dict.fromkeys(bundle.manifest.labels, 0)
        self._verdicts = {SUSPICIOUS: 0, REJECTED: 0}
        self._failed = 0
        self._answered = 0
        self._began = perf_counter()

    def write(self, image: Path, result: "Result") -> None:
        """Write one result."""
        if isinstance(result, CxrEdgeError):
            self._failed += 1
            say(f"cxr-edge: {result}")
            return
        if not self._answered:
            typer.echo("label      probability  threshold  gate         file", err=self._err)
        self._answered += 1
        for counts, name in ((self._labels, result.label), (self._verdicts, result.gate.verdict)):
            if name in counts:
                counts[name] += 1
        label = result.label or "–"
        probability, threshold = _told_apart(result.probability, result.threshold)
        typer.echo(
            f"{label:<9}  {probability:>11}  {threshold:>9}  "
            f"{result.gate.verdict:<11}  {printable(str(image))}",
            err=self._err,
        )
        notes = [*result.gate.reasons, *result.warnings]
        if result.borderline:
            notes.append("borderline: greys that differ by one level could turn the answer")
        for note in notes:
            typer.echo(f"  ↳ {printable(note)}", err=self._err)

    def close(self) -> None:
        """Write the counts and the notice, where there was a result."""
        if not self._answered:
            return
        images = self._answered + self._failed
        if images > 1 or self._written:
            counts = (*self._labels.items(), *self._verdicts.items(), ("failed", self._failed))
            listed = ", ".join(f"{number} {name}" for name, number in counts)
            took = f"{counted(images, 'image')} in {elapsed(perf_counter() - self._began)}"
            typer.echo(" · ".join((f"{took}: {listed}", *self._written)), err=self._err)
        typer.echo(f"{notice_of(self._bundle)}.", err=self._err)


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
