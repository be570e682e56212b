"""Installing a bundle instead of the one in use, and going back to the one before.

A new bundle is unpacked and tried under another name, gets the next number, and is switched to by
renaming one link over the other. Only then are older ones removed. Whatever a process that was
killed, or a device that lost its power, leaves behind, the bundle in use is the old one or the new
one; the next install tidies up, and what it cannot remove does no harm.
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.bundles.folder import LOCK, BundleFolder, sync
from cxr_edge.bundles.full_disk import full_disk_explained
from cxr_edge.bundles.lookup import CURRENT, check_accepted, installed_bundles
from cxr_edge.bundles.smoke_test import run_smoke_test
from cxr_edge_runtime.bundle import MANIFEST, Bundle
from cxr_edge_runtime.bundle.archive import Archive, SignatureCheck, open_archive
from cxr_edge_runtime.bundle.manifest import Manifest
from cxr_edge_runtime.device.selftest import require_golden_films
from cxr_edge_runtime.errors import BundleError, InstallationError, LimitMissed
from cxr_edge_runtime.files.outputs import check_folder


@dataclass(frozen=True, slots=True)
class Installed:
    """The bundle that is in use after a change.

    Attributes:
        path: its folder.
        manifest: what it says of itself.
        digest: SHA-256 of its ``bundle.json``, hexadecimal.
        changed: False where it was in use before, too.
        left: what should have been removed and could not be; it only takes up space.
    """

    path: Path
    manifest: Manifest
    digest: str
    changed: bool
    left: tuple[Path, ...] = ()


def install(
    archive: Path,
    folder: Path | None,
    *,
    check: SignatureCheck | None,
    allow_rejected: bool = False,
    smoke_test: Callable[[Path], None] = run_smoke_test,
) -> Installed:
    """Install the bundle of an archive; the one in use before is kept as the previous one.

    When it fails, or is killed at any moment, what was in use stays in use. Once it has switched,
    it does not fail for what it cannot remove.

    Args:
        archive: made by ``cxr-edge pack``.
        folder: folder of the installed bundles, created if missing; None for the default one.
        check: checks the signature; None takes any bundle, signed or not.
        allow_rejected: see :func:`cxr_edge.bundles.lookup.load_accepted_bundle`.
        smoke_test: given the unpacked bundle, raises an error when this device should not use it.

    Raises:
        BundleError: the archive cannot be used; see
            :func:`cxr_edge_runtime.bundle.archive.open_archive`.
        LimitMissed: the self-test missed its limit.
        InvalidRequest: the given path is not a folder, is a link or holds other files, or it cannot
            be made or written.
        InstallationError: another install is at work, the disk is too full, or the smoke test
            failed.
    """
    folder = _output(folder)
    bundles = BundleFolder(folder)
    with open_archive(archive, check=check) as opened:
        check_accepted(opened.manifest, allow_rejected=allow_rejected)
        folder.mkdir(parents=True, exist_ok=True)
        with bundles.exclusive_lock():
            before, number = bundles.current_number(), bundles.next_number()
            # What a killed process left may take up the room for this one.
            bundles.remove_unfinished()
            current = _if_same(bundles.current(), opened)
            if current is not None:
                path = current.path
            else:
                require_golden_films(opened.manifest, name=str(archive))
                _require_space(opened.manifest, folder)
                new = bundles.new_path(number)
                try:
                    _unpack_and_test(opened, new, archive, smoke_test)
                except BaseException:
                    shutil.rmtree(new, ignore_errors=True)
                    raise
                path = new.rename(bundles.path_of(number))
                # One that was rolled back from, or never used, must not become the previous one.
                bundles.set_aside(n for n in bundles.numbers() if 0 < before < n < number)
                bundles.switch(number)
            left = bundles.tidy()
    return Installed(path, opened.manifest, opened.digest, changed=current is None, left=left)


def roll_back(folder: Path | None, *, allow_rejected: bool = False) -> Installed:
    """Switch to the newest bundle before the one in use that is intact.

    Args:
        folder: see :func:`install`.
        allow_rejected: see :func:`cxr_edge.bundles.lookup.load_accepted_bundle`.

    Raises:
        InvalidRequest: see :func:`install`.
        BundleRejected: that bundle's model was rejected; nothing was changed.
        InstallationError: there is none, or an install is at work.
    """
    folder = _output(folder)
    bundles = BundleFolder(folder)
    if folder.is_dir():
        with bundles.exclusive_lock():
            bundle = bundles.previous()
            if bundle is not None:
                check_accepted(bundle.manifest, allow_rejected=allow_rejected)
                bundles.switch(int(bundle.path.name))
                return Installed(bundle.path, bundle.manifest, bundle.digest, changed=True)
    raise InstallationError(f"{folder}: no bundle to go back to; nothing was changed")


def _output(folder: Path | None) -> Path:
    """The folder of installed bundles; a folder of other files, 0001/ perhaps, is not tidied up."""
    if folder is None:
        return installed_bundles()
    check_folder(folder, "a folder of installed bundles", ours=_has_bundles)
    return folder


def _has_bundles(folder: Path) -> bool:
    # The lock alone is what an install leaves that was stopped before it had made anything.
    bundles = any(folder.glob(f"[0-9]*/{MANIFEST}"))
    only_lock = {path.name for path in folder.iterdir()} <= {LOCK}
    return bundles or only_lock or (folder / CURRENT).is_symlink()


def _if_same(current: Bundle | None, opened: Archive) -> Bundle | None:
    """The bundle in use where it is that of the archive."""
    with suppress(BundleError):  # of a damaged signature
        if current and (current.digest, current.signature()) == (opened.digest, opened.signature):
            return current
    return None


def _require_space(manifest: Manifest, folder: Path) -> None:
    size = sum(entry.bytes for entry in manifest.files.values())
    free = shutil.disk_usage(folder).free
    if free < size:
        raise InstallationError(
            f"{folder}: {free:,} bytes are free, the bundle needs {size:,}; make room first"
        )


def _unpack_and_test(
    opened: Archive, new: Path, archive: Path, smoke_test: Callable[[Path], None]
) -> None:
    with full_disk_explained(new.parent, "make room first"):
        new.mkdir()
        opened.unpack(new)
        sync(*new.iterdir(), new)
    try:
        smoke_test(new)
    except (LimitMissed, InstallationError) as error:
        raise type(error)(
            f"{archive}: fails on this device, so nothing was changed: {error}"
        ) from None
