"""``cxr-edge info``."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

import cxr_edge_models
from cxr_edge.bundles.notice import locator_lines, made_with, own_words, quoted, verification_lines
from cxr_edge.console import options
from cxr_edge.console.terminal import printable
from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import InvalidRequest

if TYPE_CHECKING:
    from cxr_edge_runtime.bundle import Bundle

# Characters of a sentence that the card may repeat.
_LEAST_SAID = 20
_MISSING = {
    "cam": "no heat map: the model gives no activation map",
    "embedding": "no input gate: the model gives no embedding to tell films from other images",
}


def info(
    bundle: options.BundleArgument = None,
    every: Annotated[
        bool, typer.Option("--list", help="List the bundles that ship, and the installed one.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show what a bundle is, how good it is, and its limits."""
    from cxr_edge.bundles.lookup import load_bundle

    if not every:
        loaded = load_bundle(bundle)
        if as_json:
            typer.echo(json.dumps(_as_json(loaded)))
        else:
            _print_bundle(loaded)
    elif bundle is not None:
        raise InvalidRequest("--list names all bundles; leave BUNDLE out")
    else:
        _list_bundles(as_json=as_json)


def _list_bundles(*, as_json: bool) -> None:
    """Print the bundles that ship and the installed one; a damaged one is an error afterwards."""
    from cxr_edge.bundles.lookup import installed_bundle, shipped_bundles
    from cxr_edge_runtime.errors import BundleError

    bundles, damaged = shipped_bundles(), None
    try:
        if (installed := installed_bundle()) is not None:
            bundles.append(installed)
    except BundleError as error:
        damaged = error
    if as_json:
        for bundle in bundles:
            typer.echo(json.dumps(_as_json(bundle)))
    else:
        _print_list(bundles)
    if damaged is not None:
        raise damaged


def _as_json(bundle: "Bundle") -> dict[str, Any]:
    """What the bundle's manifest says, its digest, and the limits that its card names."""
    from cxr_edge.bundles.lookup import is_installed

    return {
        "installed": is_installed(bundle),
        "digest": bundle.digest,
        "path": str(bundle.path),
        "limits": _limits(bundle),
        "manifest": json.loads(bundle.manifest.to_json()),
    }


def _print_bundle(bundle: "Bundle") -> None:
    from cxr_edge_runtime.bundle.manifest import CARD_FILE, NOTICE

    manifest = bundle.manifest
    entry = manifest.files[manifest.model.file]
    _, height, width, _ = manifest.input.shape
    typer.echo(f"{manifest.name} {manifest.version}, digest {bundle.digest}")
    typer.echo(f"from       {printable(str(bundle.path))}")
    typer.echo(
        f"model      {manifest.model.format}, {manifest.model.quantization}, "
        f"{entry.bytes:,} bytes, {width}x{height} grey"
    )
    for line in locator_lines(manifest):
        typer.echo(line)
    typer.echo(
        f"trained    {quoted(manifest.training.architecture)}, from "
        f"{quoted(manifest.training.weights)}"
    )
    typer.echo(
        f"decision   {manifest.positive_label} from {manifest.threshold.value:.4f} on, chosen on "
        f"{quoted(manifest.threshold.chosen_on)}; {own_words(manifest.threshold.rule)}"
    )
    typer.echo(f"ages       {made_with(manifest)}")
    if manifest.prevalence is not None:
        typer.echo(f"prevalence {manifest.prevalence:.4f}, for which the probability is calibrated")
    if site := manifest.site:
        counts = zip((site.negatives, site.positives), manifest.labels)
        films = " and ".join(f"{number} films of {label}" for number, label in counts)
        fitted = f"fitted to {films}" if site.positives else "moved to a stated prevalence"
        typer.echo(
            f"site       {quoted(site.name)}: {fitted}; derived from {site.derived_from[:12]}"
        )
        for text in site.warnings:
            typer.echo(f"warning    {own_words(text)}")
    for split, metrics in manifest.metrics.items():
        for name in ("sensitivity", "specificity", "auc"):
            if name in metrics:
                metric = metrics[name]
                shown = name.upper() if name == "auc" else name
                images = counted(metric.n, "image")
                typer.echo(f"measured   {split}: {shown} {metric}, {images}")
    for line in verification_lines(manifest):
        typer.echo(line)
    for output, text in _MISSING.items():
        if output not in manifest.outputs:
            typer.echo(f"missing    {text}")
    if manifest.gate is None:
        typer.echo("missing    no input gate: every image gets a prediction")
    if CARD_FILE in manifest.files:
        record = manifest.verification
        texts = (*record.looser, *record.failures, *record.warnings) if record else ()
        # A letter is in every limit.
        said = [words for words in map(_one_line, texts) if len(words) >= _LEAST_SAID]
        for limit in _limits(bundle):
            if not any(words in limit for words in said):
                typer.echo(f"limit      {own_words(limit)}")
        typer.echo(f"more       {printable(str(bundle.path / CARD_FILE))}")
    typer.echo(f"use        {own_words(manifest.intended_use)}")
    typer.echo(NOTICE)


def _limits(bundle: "Bundle") -> list[str]:
    """The points below the heading of limits in a bundle's card, one line each, without bold."""
    from cxr_edge_runtime.bundle.manifest import CARD_FILE, LIMITS_HEADING

    if CARD_FILE not in bundle.manifest.files:
        return []
    card = bundle.read(CARD_FILE).decode("utf-8", "replace")
    _, _, after = card.partition(f"\n## {LIMITS_HEADING}\n")
    section = after.partition("\n#")[0]
    return [_one_line(point).replace("**", "") for point in f"\n{section}".split("\n- ")[1:]]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _print_list(bundles: "Sequence[Bundle]") -> None:
    from cxr_edge.bundles.lookup import is_installed

    width = max(len(bundle.manifest.name) for bundle in bundles)
    typer.echo(f"{'name':<{width}}  version  format  quantization       bytes  digest")
    for bundle in bundles:
        manifest = bundle.manifest
        mark = "  installed" if is_installed(bundle) else ""
        typer.echo(
            f"{manifest.name:<{width}}  {manifest.version:<7}  {manifest.model.format:<6}  "
            f"{manifest.model.quantization:<12}  {len(bundle.model):>10,}  "
            f"{bundle.digest[:12]}{mark}"
        )
    if not any(map(is_installed, bundles)):
        typer.echo(f"none is installed; the default is {cxr_edge_models.DEFAULT}")
