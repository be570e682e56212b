"""``cxr-edge pack``."""

from pathlib import Path
from typing import Annotated

import typer

from cxr_edge.console import options
from cxr_edge.console.terminal import print_next, say, say_if_rejected


def pack(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Archive to write: NAME.cxr.zip.")
    ],
    bundle: options.BundleArgument = None,
    key: Annotated[
        Path | None,
        typer.Option("--sign", metavar="KEY", help="PEM file of a private Ed25519 key."),
    ] = None,
    allow_rejected: options.AllowRejected = False,
) -> None:
    """Pack a bundle as one file for devices, signed or not.

    The same bundle and key give the same bytes. Without --sign an existing signature is kept.
    """
    from cxr_edge.bundles.packing import pack_bundle

    packed = pack_bundle(bundle, output, key=key, allow_rejected=allow_rejected)
    if key is not None:
        signed = f"with {key}"
    else:
        signed = "before; the signature was kept and not checked" if packed.was_signed else "no"
    if packed.key_is_exposed:
        say(f"warning: {key}: others can read this private key; run: chmod 600 {key}")
    manifest = packed.bundle.manifest
    say_if_rejected(manifest)
    typer.echo(f"packed     {manifest.name} {manifest.version}")
    typer.echo(f"digest     {packed.bundle.digest}")
    typer.echo(f"signed     {signed}")
    typer.echo(f"file       {output}, {packed.n_bytes:,} bytes, SHA-256 {packed.sha256}")
    is_signed = key is not None or packed.was_signed
    check = ("--key", "PUBLIC_KEY") if is_signed else ("--unsigned",)
    print_next("install", output, *check, *(("--allow-rejected",) if manifest.is_rejected else ()))
