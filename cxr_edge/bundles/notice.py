"""The text that stands beside every result."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cxr_edge_runtime.bundle import Bundle


def notice_of(bundle: "Bundle") -> str:
    """The notice of a bundle, with the name and version of its model."""
    manifest = bundle.manifest
    model = f"{manifest.name} {manifest.version} ({bundle.digest[:12]})"
    return f"{manifest.notice} Model: {model}"
