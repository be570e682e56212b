"""``cxr-edge verify``."""

from pathlib import Path
from typing import Annotated

import typer

from cxr_edge.bundles.notice import locator_lines, verification_lines
from cxr_edge.console.terminal import print_next


def verify(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="[BUNDLE|FILE]",
            help="A bundle's folder, the name of a shipped one, or an archive of cxr-edge pack.  "
            "[default: the installed bundle, else mobilenetv2-int8]",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="PUB",
            help="PEM file of the signer's public key.",
        ),
    ] = None,
) -> None:
    """Check that a bundle is intact, and with --key who signed it.

    Every file is compared with its SHA-256, and the model is loaded and run.

    Exit code 1 when the bundle is damaged, or not signed with the key.
    """
    from cxr_edge.bundles.verification import verify_bundle
    from cxr_edge_runtime.bundle.manifest import SELFTEST_FILE

    verified = verify_bundle(bundle, key=key)
    manifest = verified.manifest
    accepted = "OK" if not manifest.is_rejected else "REJECTED when it was converted"
    typer.echo(
        f"{accepted}: {manifest.name} {manifest.version} is intact and loads in {verified.engine}"
    )
    if key is not None:
        typer.echo(f"signed: with the private key of {key}")
    elif verified.is_signed:
        typer.echo("signed, not checked: name the signer's key with --key")
    elif verified.is_archive:
        typer.echo("not signed")
    typer.echo(f"{verified.digest}  bundle.json")
    for name, entry in manifest.files.items():
        typer.echo(f"{entry.sha256}  {name}")
    for line in (*locator_lines(manifest), *verification_lines(manifest)):
        typer.echo(line)
    if verified.is_archive:
        signer = key or ("PUBLIC_KEY" if verified.is_signed else None)
        print_next("install", bundle, *(("--key", signer) if signer else ("--unsigned",)))
    elif SELFTEST_FILE in manifest.files:
        print_next("selftest", *((bundle,) if bundle else ()))
