"""Bundles whose manifest or card was written by somebody who wants the tool to say it."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cxr_edge_models
from cxr_edge_runtime.bundle import CHECKSUM, MANIFEST, checksum_line
from cxr_edge_runtime.bundle.manifest import CARD_FILE

FALSE_NOTICE = "Approved for clinical use."
# As `verify` says it.
FALSE_SIGNATURE = "signed: with the private key of the hospital"


def changed(values: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A manifest's values with another one at a path such as ``metrics.test.auc.n``."""
    key, _, rest = path.partition(".")
    inner = changed(values[key], rest, value) if rest else value
    return {**values, key: inner}


def false_bundle(
    folder: Path, changes: Mapping[str, Any] | None = None, *, card: str | None = None
) -> Path:
    """Copy the bundle ``tiny`` with other values in its manifest, or another card; digests fit.

    Args:
        folder: the folder to make.
        changes: values by path; see :func:`changed`.
        card: text of the card.
    """
    shutil.copytree(cxr_edge_models.path("tiny"), folder)
    values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for path, value in (changes or {}).items():
        values = changed(values, path, value)
    if card is not None:
        content = card.encode()
        (folder / CARD_FILE).write_bytes(content)
        values["files"][CARD_FILE] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }
    manifest = json.dumps(values).encode()
    (folder / MANIFEST).write_bytes(manifest)
    (folder / CHECKSUM).write_bytes(checksum_line(hashlib.sha256(manifest).hexdigest()))
    return folder
