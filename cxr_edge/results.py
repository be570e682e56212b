"""Results of ``classify`` as a table, as JSON lines and as CSV."""

import csv
import json
import os
from pathlib import Path
from typing import Protocol, TextIO

import typer

from cxr_edge.terminal import printable, say
from cxr_edge_runtime.batch import Result
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import error_as_json, result_as_json
from cxr_edge_runtime.errors import CxrEdgeError

CSV_COLUMNS = (
    "file", "label", "probability", "threshold", "gate", "reasons", "warnings", "error", "bundle",
    "notice",
)  # fmt: skip


class Writer(Protocol):
    """Takes the results in turn."""

    def write(self, image: Path, result: Result) -> None:
        """Write one result."""
        ...

    def close(self) -> None:
        """Write what comes after the last one."""
        ...


class TableWriter:
    """A line an image on standard output; errors, warnings and the gate's words on the other."""

    def __init__(self, bundle: Bundle) -> None:
        """Write for a bundle."""
        self._bundle = bundle
        self._begun = False

    def write(self, image: Path, result: Result) -> None:
        """Write one result."""
        if isinstance(result, CxrEdgeError):
            say(f"cxr-edge: {result}")
            return
        for warning in result.warnings:
            say(f"warning: {image}: {warning}")
        for reason in result.gate.reasons:
            say(f"{result.gate.verdict}: {image}: {reason}")
        if not self._begun:
            typer.echo("label      probability  threshold  gate         file")
            self._begun = True
        label = result.label or "–"
        probability = "–" if result.probability is None else f"{result.probability:.3f}"
        typer.echo(
            f"{label:<9}  {probability:>11}  {result.threshold:>9.3f}  "
            f"{result.gate.verdict:<11}  {printable(str(image))}"
        )

    def close(self) -> None:
        """Write the notice, where there was a result."""
        if self._begun:
            manifest = self._bundle.manifest
            typer.echo(
                f"{manifest.notice} Model: {manifest.name} {manifest.version} "
                f"({self._bundle.digest[:12]})."
            )


class JsonWriter:
    """One object a line on standard output."""

    def __init__(self, bundle: Bundle) -> None:
        """Write for a bundle."""
        self._bundle = bundle

    def write(self, image: Path, result: Result) -> None:
        """Write one result."""
        if isinstance(result, CxrEdgeError):
            typer.echo(json.dumps(error_as_json(str(image), result)))
        else:
            typer.echo(json.dumps(result_as_json(str(image), result, self._bundle)))

    def close(self) -> None:
        """Nothing is left to write: each line has the notice."""


class CsvWriter:
    """A row an image in a file; to be closed, whatever happens."""

    def __init__(self, file: TextIO, bundle: Bundle) -> None:
        """Write to an open file, the header first."""
        self._bundle = bundle
        self._rows = csv.DictWriter(file, CSV_COLUMNS, restval="")
        self._rows.writeheader()

    def write(self, image: Path, result: Result) -> None:
        """Write one result."""
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
        self._rows.writerow(row)

    def close(self) -> None:
        """Nothing is left to write; the file is its opener's."""
