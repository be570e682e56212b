"""``cxr-edge install``."""

from pathlib import Path
from typing import Annotated

import typer

from cxr_edge.bundles.signing import signature_check
from cxr_edge.console import options
from cxr_edge.console.terminal import say, say_if_rejected
from cxr_edge_runtime.errors import InvalidRequest


def install(
    archive: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="NAME.cxr.zip, from cxr-edge pack.")
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="PUB",
            envvar="CXR_EDGE_KEY",
            help="PEM file of the signer's public key; a bundle that it did not sign is refused.",
        ),
    ] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Do not check a signature: trust FILE.")
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into",
            metavar="DIR",
            help="Folder of the installed bundles; DIR/current is the one in use.  "
            "[default: ~/.local/share/cxr-edge/bundles, where all commands look]",
        ),
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the previous bundle; takes no FILE.")
    ] = False,
    allow_rejected: options.AllowRejected = False,
) -> None:
    """Install the bundle of an archive; keep the previous one.

    Signature and files are verified and the self-test is run before anything changes; then one
    rename switches to the new bundle, so even if it is killed, either the old or the new bundle is
    in use. Programs that are running, such as cxr-edge serve, use the old one until restarted.

    Exit code 4 when the self-test failed, 1 for any other error; the old bundle then stays in use.
    """
    if rollback == (archive is not None):
        raise InvalidRequest("give the FILE to install, or --rollback without one")
    if not rollback and (key is None) != unsigned:
        raise InvalidRequest(
            "give the signer's public key with --key or CXR_EDGE_KEY, or --unsigned for an archive "
            "that you trust without one; not both"
        )

    from cxr_edge.bundles import install as installation

    if archive is None:
        done, outcome = installation.roll_back(into, allow_rejected=allow_rejected), "back to"
    else:
        check = None if key is None else signature_check(key, str(archive))
        done = installation.install(archive, into, check=check, allow_rejected=allow_rejected)
        outcome = "installed" if done.changed else "unchanged"
    say_if_rejected(done.manifest)
    for path in done.left:
        say(f"warning: {path}: cannot be removed; it only takes up space")
    typer.echo(f"{outcome:<9}  {done.manifest.name} {done.manifest.version}, digest {done.digest}")
    typer.echo(f"in         {done.path}")
