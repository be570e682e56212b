"""Write the parts of docs/reference/ that the code says.

python docs/tools/make_reference.py
"""

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from bundle_schema import bundle_schema
from cxr_edge_train import recipe
from report_schema import report_schema

REFERENCE = Path(__file__).resolve().parents[1] / "reference"

_COMMANDS = """# Commands

Every command explains itself with `--help`; this page is that text, written by
`docs/tools/make_reference.py`. The same option has the same word everywhere.
[Exit codes](exit-codes.md) are the same everywhere, too.

What a command needs beside cxr-edge itself, with `pip install` in the checkout (cxr-edge is not on
PyPI), or the same with the wheel's file:

| command | `pip install` |
|---|---|
| `classify`, `info`, `selftest`, `benchmark`, `watch` | nothing more; `'.[onnx]'` for ONNX \
bundles, `'.[dicom]'` for DICOM, `'.[dicom-out]'` for answers as DICOM |
| `verify`, `pack`, `install` | `'.[signed]'` for signatures |
| `serve` | `'.[serve]'`; `'.[metrics]'` for its counts |
| `score` | `'.[ray]'` |
| `drift` | `'.[drift]'` |
| `calibrate` | `'.[calibrate]'` |
| `clean`, `split`, `eda`, `train`, `compare`, `evaluate`, `compare-bundles` | `'.[train]'` |
| `convert`, `report`, `train-locator` | `'.[convert]'` |
"""

_RECIPE = """# The recipe

A recipe is a TOML file of hyper-parameters for `--recipe`. What it leaves out keeps its default; a
key that does not exist, and a value out of range, are refused before anything is trained. A run
keeps the whole recipe as it was carried out (`recipe.toml`), and so does the bundle.

```toml
[model]
image_size = 160

[fit]
epochs = 6
```

The recipes of the shipped models name every key:
[`mobilenetv2.toml`](../../models/recipes/mobilenetv2.toml) and
[`tiny.toml`](../../models/recipes/tiny.toml) in `models/recipes/`. This page is written by
`docs/tools/make_reference.py` from `cxr_edge_train.recipe`.
"""


def commands_page() -> str:
    """All commands with their help."""
    overview = _help()
    commands = overview.partition("\nOn a device:\n")[2]
    names = re.findall(r"^  ([a-z-]+)  ", commands, re.MULTILINE)
    parts = [_COMMANDS, f"## `cxr-edge`\n\n```text\n{overview}```\n"]
    parts += [f"## `{name}`\n\n```text\n{_help(name)}```\n" for name in names]
    return "\n".join(parts)


def _help(*command: str) -> str:
    line = [sys.executable, "-m", "cxr_edge", *command, "--help"]
    wide = os.environ | {"COLUMNS": "90"}
    return subprocess.run(line, env=wide, capture_output=True, text=True, check=True).stdout


def recipe_page() -> str:
    """All keys with defaults, ranges and meanings."""
    parts = [_RECIPE]
    for section, cls in get_type_hints(recipe.Recipe).items():
        summary, meanings = _docstring(cls)
        hints = get_type_hints(cls, include_extras=True)
        rows = [
            f"| `{field.name}` | `{json.dumps(field.default)}` | {_values(hints[field.name])} "
            f"| {meanings[field.name]} |"
            for field in dataclasses.fields(cls)
        ]
        table = "\n".join(["| key | default | values | meaning |", "|---|---|---|---|", *rows])
        parts.append(f"## `[{section}]`\n\n{summary}\n\n{table}\n")
    return "\n".join(parts)


def _values(hint: Any) -> str:
    """What a key of the recipe may be, by its annotation."""
    if get_origin(hint) is Literal:
        return " or ".join(f"`{word}`" for word in get_args(hint))
    if get_origin(hint) is Annotated:
        limits = get_args(hint)[1]
        return f"{limits.minimum:g} to {limits.maximum:g}"
    return "`true` or `false`" if hint is bool else "text"


def _docstring(cls: type) -> tuple[str, dict[str, str]]:
    """What it says of the whole, in Markdown, and of each attribute."""
    # Python 3.13 takes the indentation away, earlier ones keep it.
    text = inspect.cleandoc(cls.__doc__ or "")
    text = re.sub(r":(?:class|mod|func):`([^`]+)`", r"`\1`", text).replace("``", "`")
    whole, _, section = text.partition("Attributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return " ".join(whole.split()), {name: " ".join(said.split()) for name, said in entries}


def schema_file() -> str:
    """The JSON Schema of a bundle."""
    return json.dumps(bundle_schema(), indent=2) + "\n"


def report_schema_file() -> str:
    """The JSON Schema of a conversion's report."""
    return json.dumps(report_schema(), indent=2) + "\n"


FILES: dict[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "recipe.md": recipe_page,
    "bundle.schema.json": schema_file,
    "report.schema.json": report_schema_file,
}


if __name__ == "__main__":
    for name, made in FILES.items():
        (REFERENCE / name).write_text(made(), encoding="utf-8")
