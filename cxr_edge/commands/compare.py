"""``cxr-edge compare``."""

from pathlib import Path
from typing import Annotated

import typer

import cxr_edge
from cxr_edge.console import options
from cxr_edge.console.loading import load_keras
from cxr_edge.console.terminal import Stages, say, say_warnings
from cxr_edge_train.defaults import MIN_SPECIFICITY


def compare(
    metadata: options.Metadata,
    splits: options.Splits = Path("splits.csv"),
    architectures: Annotated[
        str,
        typer.Option(metavar="NAME,NAME", help="Which to train and compare.  [default: all]"),
    ] = "",
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]imagenet|none|FILE",
            help="What weights start from, for one architecture or for all others; pure_cnn always "
            "starts from random ones.  [default: imagenet]",
        ),
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FILE",
            help="Recipe of one architecture or of all others; given several times, each is "
            "trained and compared.  [default: the default of every hyper-parameter]",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to make.")
    ] = Path("comparison"),
    seed: options.Seed = 0,
    min_specificity: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=1.0,
            metavar="SHARE",
            help="Recall is compared where specificity is at least this.",
        ),
    ] = MIN_SPECIFICITY,
    test_log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Log of cxr-edge evaluate --split test; the metrics of finalists in it are "
            "shown.  [default: test-log.jsonl in the output folder]",
        ),
    ] = None,
    locator: options.Locator = None,
    root: options.Root = None,
) -> None:
    """Train several networks and choose one by its recall.

    The choice is made on validation: highest recall where specificity is high enough; among those
    that do not differ by McNemar's test, the highest AUC, then the smallest. No test label is read.
    The same command resumes a comparison that was interrupted. Research use only. Not a medical
    device.
    """
    load_keras()
    from cxr_edge.console.by_architecture import by_architecture, several_by_architecture
    from cxr_edge.console.training_progress import print_start_of_compared, training_callbacks

    if locator is not None:
        say(f"films are cut to the box of their lungs by the locator {locator}")
    names = [name.strip() for name in architectures.split(",") if name.strip()]
    comparison = cxr_edge.compare(
        metadata,
        splits,
        architectures=names or None,
        weights=by_architecture(weights or []),
        recipe=several_by_architecture(recipe or []),
        output=output,
        root=root,
        seed=seed,
        min_specificity=min_specificity,
        test_log=test_log,
        locator=locator,
        on_start=print_start_of_compared,
        callbacks=training_callbacks(),
        progress=Stages(),
    )
    width = max(len(candidate.name) for candidate in comparison.candidates)
    for candidate in comparison.candidates:
        mark = "*" if candidate is comparison.choice.winner else " "
        typer.echo(
            f"{mark} {candidate.name:<{width}} recall {candidate.recall} at specificity "
            f"{candidate.specificity.value:.3f}  correct {candidate.correct.sum()} of "
            f"{len(candidate.correct)}  AUC {candidate.metrics.auc}"
        )
    say_warnings(comparison.warnings)
    typer.echo(comparison.choice.reason)
    typer.echo(comparison.notice)
    for finalist in comparison.unread:
        say(
            f"for {finalist.name}'s metrics on test, once: cxr-edge evaluate {finalist.run.folder} "
            f"{metadata} --splits {splits} --split test --log {comparison.log}"
        )
    typer.echo(f"wrote {comparison.page}")
