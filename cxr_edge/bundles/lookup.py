"""``--bundle``: a folder, or the name of a shipped bundle; without it the installed one."""

import os
from pathlib import Path

import cxr_edge_models
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.archive import ARCHIVE_SUFFIX
from cxr_edge_runtime.errors import BundleNotFound

# In a folder of installed bundles, the link to the one in use; see cxr_edge.bundles.folder.
CURRENT = "current"


def installed_bundles() -> Path:
    """Where bundles are installed for this user: ``$XDG_DATA_HOME/cxr-edge/bundles``.

    By default ``~/.local/share/cxr-edge/bundles``, as where the variable holds a relative path:
    the bundle in use must not depend on where the user stands.
    """
    base = os.environ.get("XDG_DATA_HOME", "")
    if not Path(base).is_absolute():
        base = os.path.expanduser("~/.local/share")  # noqa: PTH111
    return Path(base, "cxr-edge", "bundles")


def shipped_bundles() -> list[Bundle]:
    """The bundles that ship, the default one first.

    Raises:
        BundleError: the installation is damaged.
    """
    return [Bundle.load(cxr_edge_models.path(name)) for name in cxr_edge_models.names()]


def load_bundle(name_or_folder: str | None) -> Bundle:
    """Load a bundle; a folder of that name goes before a shipped bundle.

    None is the installed bundle; where none is, the default one of those that ship.

    Raises:
        BundleNotFound: neither a folder nor a shipped bundle.
        BundleError: the bundle cannot be used.
    """
    if name_or_folder is None:
        current = installed_bundles() / CURRENT
        # A damaged installation is an error: another model would answer, and nobody would know.
        if os.path.lexists(current):
            return _load_folder(current)
        return Bundle.load(cxr_edge_models.path(cxr_edge_models.DEFAULT))
    folder = Path(name_or_folder)
    if folder.is_dir():
        return _load_folder(folder)
    if name_or_folder in cxr_edge_models.names():
        return Bundle.load(cxr_edge_models.path(name_or_folder))
    if folder.is_file():
        raise BundleNotFound(
            f"bundle {name_or_folder}: is a file; an archive is installed first, with "
            "cxr-edge install"
        )
    if name_or_folder.endswith(ARCHIVE_SUFFIX):
        raise BundleNotFound(f"{name_or_folder}: no such file")
    raise BundleNotFound(
        f"bundle {name_or_folder}: no such folder, and no shipped bundle of that name; "
        f"shipped are {', '.join(cxr_edge_models.names())}"
    )


def notice_of(bundle: Bundle) -> str:
    """What stands beside every result: the notice, and which model answered."""
    manifest = bundle.manifest
    model = f"{manifest.name} {manifest.version} ({bundle.digest[:12]})"
    return f"{manifest.notice} Model: {model}"


def _load_folder(folder: Path) -> Bundle:
    # An update points the link elsewhere while the bundle is in use, and files are read later, too.
    return Bundle.load(Path(os.path.realpath(folder)) if folder.is_symlink() else folder)
