"""A bundle by its folder or the name of a shipped one; by default the installed one."""

import os
from pathlib import Path

import cxr_edge_models
from cxr_edge.bundles.notice import rejection
from cxr_edge_runtime.bundle import ARCHIVE_SUFFIX, MANIFEST, Bundle
from cxr_edge_runtime.bundle.manifest import Manifest
from cxr_edge_runtime.errors import BundleNotFound, BundleRejected, InvalidRequest

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


def installed_bundle() -> Bundle | None:
    """The bundle that is installed for this user; None where there is none.

    Raises:
        BundleError: the installation is damaged. Another model in its place would classify
            unnoticed.
    """
    current = installed_bundles() / CURRENT
    return _load_folder(current) if os.path.lexists(current) else None


def is_installed(bundle: Bundle) -> bool:
    """Whether a bundle is the one that is installed for this user."""
    return str(bundle.path) == os.path.realpath(installed_bundles() / CURRENT)


def load_bundle(bundle: str | os.PathLike[str] | Bundle | None) -> Bundle:
    """Load the bundle of a name or folder.

    Args:
        bundle: a folder, or the name of a shipped bundle; a folder of that name takes
            precedence. None is the installed bundle, or the default one of those that ship where
            none is installed. A loaded bundle is returned as it is.

    Raises:
        InvalidRequest: the argument has another type.
        BundleNotFound: neither a folder nor a shipped bundle.
        BundleError: the bundle cannot be used.

    >>> load_bundle("tiny").manifest.name
    'tiny'
    """
    if isinstance(bundle, Bundle):
        return bundle
    if bundle is None:
        return installed_bundle() or Bundle.load(cxr_edge_models.path(cxr_edge_models.DEFAULT))
    if not isinstance(bundle, str | os.PathLike):
        raise InvalidRequest(
            f"a bundle must be a name, a folder or a loaded Bundle, not {type(bundle).__name__}"
        )
    name = os.fsdecode(bundle)
    # Path's own tests raise an error where a name is too long for the file system.
    if os.path.isdir(name):  # noqa: PTH112
        return _load_folder(Path(name))
    if name in cxr_edge_models.names():
        return Bundle.load(cxr_edge_models.path(name))
    if os.path.isfile(name):  # noqa: PTH113
        raise BundleNotFound(
            f"bundle {name}: is a file; install an archive first, with cxr-edge install"
        )
    if name.endswith(ARCHIVE_SUFFIX):
        raise BundleNotFound(f"{name}: no such file")
    raise BundleNotFound(
        f"bundle {name}: no such folder or shipped bundle; choose one of "
        f"{', '.join(cxr_edge_models.names())}, or name a folder"
    )


def load_accepted_bundle(
    bundle: str | os.PathLike[str] | Bundle | None, *, allow_rejected: bool = False
) -> Bundle:
    """Load a bundle that may classify, as :func:`load_bundle` does.

    Args:
        bundle: see :func:`load_bundle`.
        allow_rejected: load a bundle whose model was rejected, too.

    Raises:
        BundleRejected: the model missed a limit when it was converted.
    """
    loaded = load_bundle(bundle)
    check_accepted(loaded.manifest, allow_rejected=allow_rejected)
    return loaded


def check_accepted(manifest: Manifest, *, allow_rejected: bool) -> None:
    """Refuse a bundle whose model was rejected, unless that is allowed.

    Raises:
        BundleRejected: the model missed a limit when it was converted.
    """
    if manifest.is_rejected and not allow_rejected:
        raise BundleRejected(
            f"{rejection(manifest)}; use one that passed, or allow rejected bundles"
        )


def _load_folder(folder: Path) -> Bundle:
    # An update points the link elsewhere while the bundle is in use, and files are read later, too.
    place = Path(os.path.realpath(folder)) if folder.is_symlink() else folder
    if not (place / MANIFEST).is_file() and (hint := _hint(place)):
        raise BundleNotFound(f"{folder}: is not a bundle; {hint}")
    return Bundle.load(place)


def _hint(folder: Path) -> str:
    """What a user who named this folder may have meant; empty where that is not clear."""
    if (folder / "run.json").is_file():
        return f"it is a run: make bundles of it with cxr-edge convert {folder}"
    within = sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}"))
    return f"name one of those in it: {', '.join(within)}" if within else ""
