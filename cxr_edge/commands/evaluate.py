"""``cxr-edge evaluate``."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxr_edge.console import options
from cxr_edge.console.terminal import print_metrics, progress_bar, say

if TYPE_CHECKING:
    from cxr_edge_train.evaluation.subject import Subject


# Files by which a run, a bundle and a conversion are known.
_OTHERS = ("run.json", "unfinished.json", "bundle.json", "report.json")


class Split(StrEnum):
    """What can be measured; training images would say nothing."""

    VALIDATION = "validation"
    TEST = "test"


def evaluate(
    subject: Annotated[
        str, typer.Argument(metavar="RUN|BUNDLE", help="A run's folder, or a bundle's or its name.")
    ],
    metadata: options.Metadata,
    splits: options.Splits = Path("splits.csv"),
    split: Annotated[Split, typer.Option(help="Which images to measure on.")] = Split.VALIDATION,
    log: Annotated[
        Path | None, typer.Option(help="With --split test, needed: the file that records it.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder for evaluation.json, predictions.csv and figures."
        ),
    ] = None,
    root: options.Root = None,
    threads: options.Threads = 1,
    as_json: options.AsJson = False,
) -> None:
    """Measure a run or a bundle on validation or test images.

    A run is measured in Keras, a bundle in the engine that runs it. Test labels are for the
    final figure of a model that would ship. Each reading is appended to --log, whatever it
    says. Research use only. Not a medical device.
    """
    from cxr_edge_runtime.bundle.manifest import NOTICE
    from cxr_edge_runtime.errors import InvalidRequest
    from cxr_edge_train.dataset.metadata import dataset_digest, read_metadata, read_splits
    from cxr_edge_train.evaluation.evaluation import log_test_reading, summarise
    from cxr_edge_train.evaluation.predictions import predict

    if split is Split.TEST and log is None:
        raise InvalidRequest("--split test needs --log FILE: every reading of test is recorded")
    if output and output.exists() and not output.is_dir():
        raise InvalidRequest(f"{output}: is a file; choose another --output")
    if output and any((output / name).exists() for name in _OTHERS):
        # A run's predictions.csv and figures would be replaced by those of other images.
        raise InvalidRequest(
            f"{output}: holds a run, a bundle or a conversion; choose another --output"
        )
    measured = _load(subject, threads)
    table = read_splits(splits, read_metadata(metadata))
    learned = table[table["split"] != Split.TEST.value]
    if dataset_digest(learned) != measured.identity.training_digest:
        say(
            "warning: this model was trained on other images or splits; it may have learned from "
            f"some of these {split.value} images"
        )
    rows = table[table["split"] == split.value].reset_index(drop=True)
    folder = root or metadata.resolve().parent
    predictions = predict(measured, rows, root=folder, progress=progress_bar)
    evaluation = summarise(measured, predictions, split=split.value)
    if split is Split.TEST and log is not None:
        log_test_reading(log, evaluation, dataset_digest(rows))
        say(f"logged in {log}")
    if output:
        from cxr_edge_train.evaluation.output import write_evaluation

        write_evaluation(output, evaluation, predictions, measured, rows, root=folder)
        say(f"wrote {output}")
    if as_json:
        typer.echo(json.dumps(evaluation.as_dict()))
        return
    typer.echo(f"{split.value} {evaluation.correct} of {evaluation.n} right")
    for kind, right in evaluation.by_kind.items():
        typer.echo(f"{split.value} {kind} right {right}  n = {right.n}")
    print_metrics(split.value, evaluation.metrics.by_name(), NOTICE)


def _load(name_or_folder: str, threads: int) -> "Subject":
    """A folder with ``run.json`` is a run; all else is taken for a bundle.

    Raises:
        RunError: a folder that is neither, or a run that is damaged.
        BundleError: no such bundle, or one that cannot be used.
    """
    from cxr_edge_runtime.bundle import MANIFEST
    from cxr_edge_runtime.errors import RunError

    folder = Path(name_or_folder)
    if (folder / "run.json").is_file():
        from cxr_edge.process.keras_backend import load_quietly

        load_quietly()
        from cxr_edge_train.evaluation.run_subject import RunSubject

        return RunSubject(folder)
    if (folder / "unfinished.json").exists():
        raise RunError(f"{folder}: is not finished; go on with the cxr-edge train that began it")
    if folder.is_dir() and not (folder / MANIFEST).exists():
        raise RunError(f"{folder}: neither a finished run (run.json) nor a bundle ({MANIFEST})")
    from cxr_edge.bundles.lookup import load_bundle
    from cxr_edge_train.evaluation.bundle_subject import BundleSubject

    return BundleSubject(load_bundle(name_or_folder), threads=threads)
