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
        bool, typer.Option("--unsigned", help="Check no signature: whoever made FILE is trusted.")
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into",
            metavar="DIR",
            help="Folder of the installed bundles; DIR/current is the one in use "
            "[default: ~/.local/share/cxr-edge/bundles, where all commands look].",
        ),
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the bundle before; takes no FILE.")
    ] = False,
    allow_rejected: options.AllowRejected = False,
) -> None:
    """Use an archive's bundle from now on; keep the one before.

    The signature and every file are verified and the self-test is run before anything changes;
    then the switch is one rename. Killed at any moment, the old or the new bundle is in use. What
    runs already, such as cxr-edge serve, uses the old one until it is started anew.

    Exit code 4 when the self-test missed its limit, 1 for all else; the old bundle then stays.
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
        say(f"warning: {path}: cannot be removed; it takes up room and does nothing else")
    typer.echo(f"{outcome:<9}  {done.manifest.name} {done.manifest.version}, digest {done.digest}")
    typer.echo(f"in         {done.path}")
