"""Results of ``classify`` as a table and as JSON lines."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cxr_edge.bundles.notice import notice_of
from cxr_edge.console.terminal import printable, say
from cxr_edge_runtime.errors import CxrEdgeError

if TYPE_CHECKING:
    from cxr_edge_runtime.batch import Result
    from cxr_edge_runtime.bundle import Bundle


class TableWriter:
    """A line per image on standard output; errors, warnings and the gate's reasons on the other."""

    def __init__(self, bundle: "Bundle", *, err: bool = False) -> None:
        """Write for a bundle; everything to standard error where the other is taken."""
        self._bundle, self._err = bundle, err
        self._begun = False

    def write(self, image: Path, result: "Result") -> None:
        """Write one result."""
        if isinstance(result, CxrEdgeError):
            say(f"cxr-edge: {result}")
            return
        for warning in result.warnings:
            say(f"warning: {image}: {warning}")
        for reason in result.gate.reasons:
            say(f"{result.gate.verdict}: {image}: {reason}")
        if result.borderline:
            say(f"borderline: {image}: greys that differ by one level could turn the answer")
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

    def close(self) -> None:
        """Write the notice, where there was a result."""
        if self._begun:
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
