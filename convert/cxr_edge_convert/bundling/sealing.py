"""The files of a bundle and the manifest that describes them; neither takes Keras."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cxr_edge_convert.bundling.model_card import model_card
from cxr_edge_runtime.bundle import describe_files, write_bundle
from cxr_edge_runtime.bundle.manifest import CARD_FILE, Manifest

# Where an ONNX file keeps the manifest, its files left out.
METADATA_KEY = "cxr_edge_manifest"


def seal(
    target: Path,
    manifest: Manifest,
    contents: Mapping[str, bytes],
    *,
    more: Mapping[str, str] | None = None,
) -> None:
    """Write the files of a bundle, its card made from the manifest, and the manifest itself.

    Args:
        target: the folder to write to.
        manifest: what the bundle says of itself; its ``files`` is replaced.
        contents: the bytes of the model and of all other files by name; a card among them is
            replaced.
        more: what the card says beyond the manifest, see :func:`.model_card.model_card`.
    """
    others = {name: content for name, content in contents.items() if name != CARD_FILE}
    described = replace(manifest, files=describe_files(others))
    contents = {**contents, CARD_FILE: model_card(described, more).encode()}
    write_bundle(target, replace(manifest, files=describe_files(contents)), contents)
