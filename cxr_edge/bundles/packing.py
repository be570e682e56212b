"""A bundle packed as the one file that travels to devices."""

from dataclasses import dataclass
from pathlib import Path

from cxr_edge.bundles.full_disk import full_disk_explained
from cxr_edge.bundles.lookup import load_accepted_bundle
from cxr_edge.bundles.signing import read_private_key, sign
from cxr_edge_runtime.bundle import ARCHIVE_SUFFIX, Bundle
from cxr_edge_runtime.bundle.archive import is_archive, write_archive
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.files import file_sha256, replacing
from cxr_edge_runtime.files.outputs import check_file

# Rights of others to read a private key.
_READABLE_BY_OTHERS = 0o044


@dataclass(frozen=True, slots=True)
class Packed:
    """An archive that was written.

    Attributes:
        bundle: the packed bundle.
        was_signed: whether the bundle had a signature before.
        key_is_exposed: whether others may read the private key that it was signed with.
        n_bytes: size of the archive.
        sha256: of the archive, hexadecimal.
    """

    bundle: Bundle
    was_signed: bool
    key_is_exposed: bool
    n_bytes: int
    sha256: str


def pack_bundle(
    bundle: str | None, output: Path, *, key: Path | None = None, allow_rejected: bool = False
) -> Packed:
    """Pack a bundle; the same bundle and key give the same bytes.

    Args:
        bundle: see :func:`cxr_edge.bundles.lookup.load_bundle`.
        output: the archive to write; only another archive is replaced.
        key: PEM file of the private key to sign with; None keeps the signature that the bundle has.
        allow_rejected: see :func:`cxr_edge.bundles.lookup.load_accepted_bundle`.

    Raises:
        InvalidRequest: the output has another suffix, is something else or cannot be written, or
            the file of the key holds no private key.
        BundleError: the bundle cannot be used.
        OSError: the disk is full.
    """
    if not output.name.endswith(ARCHIVE_SUFFIX):
        raise InvalidRequest(f"{output}: the name of an archive must end with {ARCHIVE_SUFFIX}")
    check_file(output, "an archive of cxr-edge pack", ours=is_archive)
    loaded = load_accepted_bundle(bundle, allow_rejected=allow_rejected)
    signature = before = loaded.signature()
    if key is not None:
        signature = sign(loaded.manifest_bytes(), read_private_key(key))
    with (
        full_disk_explained(output, "make room there, or write to another disk"),
        replacing(output) as temporary,
        temporary.open("wb") as file,
    ):
        write_archive(file, loaded, signature=signature)
    return Packed(
        bundle=loaded,
        was_signed=before is not None,
        key_is_exposed=key is not None and bool(key.stat().st_mode & _READABLE_BY_OTHERS),
        n_bytes=output.stat().st_size,
        sha256=file_sha256(output),
    )
