"""``--bundle``: a folder, or the name of a shipped bundle."""

from pathlib import Path

import cxr_edge_models
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import BundleNotFound


def shipped_bundles() -> list[Bundle]:
    """The bundles that ship, the default one first.

    Raises:
        BundleError: the installation is damaged.
    """
    return [Bundle.load(cxr_edge_models.path(name)) for name in cxr_edge_models.names()]


def load_bundle(name_or_folder: str | None) -> Bundle:
    """Load a bundle; a folder of that name goes before a shipped bundle, None is the default.

    Raises:
        BundleNotFound: neither a folder nor a shipped bundle.
        BundleError: the bundle cannot be used.
    """
    if name_or_folder is None:
        return Bundle.load(cxr_edge_models.path(cxr_edge_models.DEFAULT))
    folder = Path(name_or_folder)
    if folder.is_dir():
        return Bundle.load(folder)
    if name_or_folder in cxr_edge_models.names():
        return Bundle.load(cxr_edge_models.path(name_or_folder))
    raise BundleNotFound(
        f"bundle {name_or_folder}: no such folder, and no shipped bundle of that name; "
        f"shipped are {', '.join(cxr_edge_models.names())}"
    )
