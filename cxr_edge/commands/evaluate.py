"""``cxr-edge evaluate``."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cxr_edge
from cxr_edge.console import options
from cxr_edge.console.loading import load_keras
from cxr_edge.console.terminal import print_metrics, printable, progress_bar, say, say_warnings
from cxr_edge_runtime.errors import InvalidRequest

if TYPE_CHECKING:
    from cxr_edge_train.evaluation.evaluation import Evaluation


class Split(StrEnum):
    """What can be measured on; training images alone would say nothing."""

    VALIDATION = "validation"
    TEST = "test"
    ALL = "all"


def evaluate(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="RUN|BUNDLE",
            help="Folder of a run or of a bundle, or name of a shipped bundle.",
        ),
    ],
    metadata: Annotated[
        Path | None,
        typer.Argument(
            metavar="METADATA", help="clean_metadata.csv, from cxr-edge clean; not for --suspects."
        ),
    ] = None,
    splits: options.Splits = Path("splits.csv"),
    split: Annotated[
        Split,
        typer.Option(help="Which images to measure on; all leaves out test and needs no splits."),
    ] = Split.VALIDATION,
    log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Required with --split test: every reading is appended to this file.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for evaluation.json, .html, predictions.csv and plots.  [default: none]",
        ),
    ] = None,
    suspects: Annotated[
        bool,
        typer.Option(
            "--suspects",
            help="List the images whose labels the models of train --folds contradict most.",
        ),
    ] = False,
    root: options.Root = None,
    threads: options.Threads = 1,
    as_json: options.AsJson = False,
) -> None:
    """Measure a run or a bundle on labelled images.

    A run is measured in Keras, a bundle in the engine that runs it. Use test labels only for the
    final metrics of a model that would ship: each reading is appended to --log. Research use only.
    Not a medical device.
    """
    if suspects:
        if metadata is not None or log is not None or as_json or split is not Split.VALIDATION:
            raise InvalidRequest(
                "--suspects takes the folder of train --folds; of the other arguments only -o and "
                "--root"
            )
        _print_suspects(Path(subject), output, root)
        return
    if metadata is None:
        raise InvalidRequest("name the clean_metadata.csv of the films to measure on")
    if split is Split.TEST and log is None:
        raise InvalidRequest("--split test needs --log FILE: every reading of test is recorded")
    if (Path(subject) / "run.json").is_file():
        load_keras()
    evaluation = cxr_edge.evaluate(
        subject,
        metadata,
        splits,
        split=split.value,
        log=log,
        output=output,
        root=root,
        threads=threads,
        progress=progress_bar,
    )
    if as_json:
        typer.echo(json.dumps(evaluation.as_dict()))
    else:
        _print(evaluation, split)
    say_warnings(evaluation.warnings)
    if split is Split.TEST:
        say(f"logged in {log}")
    if output:
        say(f"wrote {output}")


def _print(evaluation: "Evaluation", split: Split) -> None:
    from cxr_edge_train.evaluation.page import share_text, worst_words

    typer.echo(f"{split.value} correct {evaluation.correct} of {evaluation.n}")
    negative, positive = evaluation.labels
    # One kind of the finding alone is the label itself.
    alone = len(evaluation.by_kind.keys() - {"normal"}) == 1
    for kind, correct in evaluation.by_kind.items():
        name = negative if kind == "normal" else positive if alone else kind
        typer.echo(f"{split.value} correct, {name} {correct}  n = {correct.n}")
    for group in evaluation.subgroups:
        if group.column == "kind":  # shown above
            continue
        shares = [
            f"{measure} {share_text(share)}"
            for measure, share in (
                ("sensitivity", group.sensitivity),
                ("specificity", group.specificity),
            )
            if share is not None
        ]
        typer.echo(f"{group.name}: {', '.join(shares)}")
    if worst := worst_words(evaluation.subgroups):
        typer.echo(worst)
    print_metrics(split.value, evaluation.metrics.by_name(), evaluation.notice)


def _print_suspects(folder: Path, output: Path | None, root: Path | None) -> None:
    from cxr_edge_runtime.bundle.manifest import NOTICE

    found = cxr_edge.find_suspects(folder, output=output, root=root, progress=progress_bar)
    typer.echo(f"{'probability':<12}{'label':<12}film")
    for row in found.itertuples():
        typer.echo(f"{row.probability:<12.3f}{row.label:<12}{printable(row.path)}")
    if output:
        say(f"wrote {output}")
    typer.echo(NOTICE)
