"""``cxr-edge compare``."""

from pathlib import Path
from typing import Annotated

import typer

from cxr_edge.console import options
from cxr_edge.console.terminal import progress_bar, say
from cxr_edge_train.defaults import MIN_SPECIFICITY


def compare(
    metadata: options.Metadata,
    splits: options.Splits = Path("splits.csv"),
    architectures: Annotated[
        str,
        typer.Option(metavar="NAME,NAME", help="Which to train and compare; all without it."),
    ] = "",
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]imagenet|none|FILE",
            help="Where weights begin, for one architecture or for all others. imagenet without "
            "it; pure_cnn always begins at random.",
        ),
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FILE",
            help="Recipe of one architecture or of all others; defaults without it.",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make.")] = Path(
        "comparison"
    ),
    seed: options.Seed = 0,
    min_specificity: Annotated[
        float,
        typer.Option(min=0.01, max=1.0, help="Recall is compared where specificity is at least."),
    ] = MIN_SPECIFICITY,
    test_log: Annotated[
        Path | None,
        typer.Option(
            help="Log of cxr-edge evaluate --split test, whose figures of finalists are shown; "
            "test-log.jsonl in the output folder without it."
        ),
    ] = None,
    root: options.Root = None,
) -> None:
    """Train several architectures and choose one by its recall.

    The choice is made on validation: highest recall where specificity keeps its floor; among those
    that do not differ by McNemar's test, the highest AUC, then the smallest. No test label is read.
    The same command goes on where it was interrupted. Research use only. Not a medical device.
    """
    from cxr_edge.process.keras_backend import load_quietly

    load_quietly()
    from cxr_edge.console.training_progress import training_progress
    from cxr_edge_runtime.bundle.manifest import NOTICE
    from cxr_edge_train.architectures import ARCHITECTURES
    from cxr_edge_train.comparison.choice import choose, read_candidate
    from cxr_edge_train.comparison.plan import plan
    from cxr_edge_train.comparison.report import read_test_log, write_comparison
    from cxr_edge_train.dataset.metadata import read_metadata, read_splits
    from cxr_edge_train.defaults import default_cache_dir
    from cxr_edge_train.fitting.training import train_run
    from cxr_edge_train.runs import model_sha256

    table = read_splits(splits, read_metadata(metadata))
    names = [name.strip() for name in architectures.split(",") if name.strip()]
    tasks = plan(
        table,
        names or list(ARCHITECTURES),
        weights=weights or [],
        recipes=recipe or [],
        seed=seed,
        output=output,
    )
    candidates = []
    for task in tasks:
        if task.finished:
            say(f"{task.architecture}: trained already")
        else:
            say(f"{task.architecture}: training, run {task.folder}")
            train_run(
                table,
                architecture=task.architecture,
                weights=task.weights,
                recipe=task.recipe,
                seed=seed,
                root=root or metadata.resolve().parent,
                output=task.folder,
                cache_dir=default_cache_dir(),
                callbacks=training_progress(task.recipe.fit),
                progress=progress_bar,
            )
        candidates.append(
            read_candidate(task.folder, parameters=task.parameters, min_specificity=min_specificity)
        )
    choice = choose(candidates)
    log = test_log or output / "test-log.jsonl"
    models = {model_sha256(c.folder): c.name for c in candidates}
    # First without test figures: a log that cannot be used must not cost what was trained.
    write_comparison(output, candidates, choice, {})
    readings = read_test_log(log, models)
    if readings:
        write_comparison(output, candidates, choice, readings)
    for candidate in candidates:
        mark = "*" if candidate is choice.winner else " "
        typer.echo(
            f"{mark} {candidate.name:<12} recall {candidate.recall} at specificity "
            f"{candidate.specificity.value:.3f}  AUC {candidate.metrics.auc}"
        )
    typer.echo(choice.reason)
    typer.echo(NOTICE)
    for candidate in choice.finalists:
        if candidate.name not in readings:
            say(
                f"for {candidate.name}'s test figures, once: cxr-edge evaluate {candidate.folder} "
                f"{metadata} --splits {splits} --split test --log {log}"
            )
    typer.echo(f"wrote {output / 'comparison.html'}")
