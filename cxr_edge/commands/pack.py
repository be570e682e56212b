"""``cxr-edge pack``."""

from pathlib import Path
from typing import Annotated

import typer

from cxr_edge.console import options
from cxr_edge.console.terminal import say
from cxr_edge_runtime.errors import InvalidRequest


def pack(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Archive to write: NAME.cxr.zip.")
    ],
    bundle: options.BundleArgument = None,
    key: Annotated[
        Path | None,
        typer.Option("--sign", metavar="KEY", help="PEM file of a private Ed25519 key."),
    ] = None,
) -> None:
    """Pack a bundle as one file, signed with --sign, for devices.

    The same bundle and key give the same bytes. Without --sign it keeps the signature of a
    bundle that was signed before.
    """
    from cxr_edge.bundles.full_disk import full_disk_told
    from cxr_edge.bundles.lookup import load_bundle
    from cxr_edge_runtime.bundle.archive import ARCHIVE_SUFFIX, is_archive, write_archive
    from cxr_edge_runtime.files import file_sha256, replacing

    if not output.name.endswith(ARCHIVE_SUFFIX):
        raise InvalidRequest(f"{output}: the name of an archive ends with {ARCHIVE_SUFFIX}")
    if output.is_file() and not is_archive(output):
        raise InvalidRequest(
            f"{output}: is there and is not an archive of cxr-edge pack; choose another name"
        )
    loaded = load_bundle(bundle)
    signature = loaded.signature()
    if key is None:
        signed = "no" if signature is None else "before; the signature was kept and not checked"
    else:
        from cxr_edge.bundles.signing import read_private_key, sign

        signature = sign(loaded.manifest_bytes(), read_private_key(key))
        signed = f"with {key}"
        if key.stat().st_mode & 0o044:
            say(f"warning: {key}: others can read this private key; run: chmod 600 {key}")
    with (
        full_disk_told(output, "make room there, or write to another disk"),
        replacing(output) as temporary,
        temporary.open("wb") as file,
    ):
        write_archive(file, loaded, signature=signature)
    sha256 = file_sha256(output)
    typer.echo(f"packed     {loaded.manifest.name} {loaded.manifest.version}")
    typer.echo(f"digest     {loaded.digest}")
    typer.echo(f"signed     {signed}")
    typer.echo(f"file       {output}, {output.stat().st_size:,} bytes, SHA-256 {sha256}")
