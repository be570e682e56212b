"""``cxr-edge evaluate``."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cxr_edge import options
from cxr_edge.terminal import print_figures, progress_bar, say


class Split(StrEnum):
    """What can be measured; training images would say nothing."""

    VALIDATION = "validation"
    TEST = "test"


def evaluate(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="A bundle's folder or name.")],
    metadata: options.Metadata,
    splits: options.Splits = Path("splits.csv"),
    split: Annotated[Split, typer.Option(help="Which images to measure on.")] = Split.VALIDATION,
    log: Annotated[
        Path | None, typer.Option(help="With --split test, needed: the file that records it.")
    ] = None,
    threads: options.Threads = 1,
    as_json: options.AsJson = False,
) -> None:
    """Measure a bundle on validation or test images with the engine that runs it.

    Test labels are for the final figure of a model that would ship. Each reading is appended to
    --log, whatever it says. Research use only. Not a medical device.
    """
    from cxr_edge.bundles import load_bundle
    from cxr_edge_runtime.errors import InvalidRequest
    from cxr_edge_train.dataset.metadata import dataset_digest, read_metadata, read_splits
    from cxr_edge_train.evaluation.bundles import evaluate_bundle, log_test_reading

    if split is Split.TEST and log is None:
        raise InvalidRequest("--split test needs --log FILE: every reading of test is recorded")
    loaded = load_bundle(bundle)
    table = read_splits(splits, read_metadata(metadata))
    learned = table[table["split"] != Split.TEST.value]
    if dataset_digest(learned) != loaded.manifest.training.dataset_digest:
        say(
            "warning: this bundle was trained on other images or splits; it may have learned from "
            f"some of these {split.value} images"
        )
    rows = table[table["split"] == split.value].reset_index(drop=True)
    metrics = evaluate_bundle(
        loaded,
        rows,
        root=metadata.resolve().parent,
        threads=threads,
        progress=progress_bar("classifying"),
    )
    if split is Split.TEST and log is not None:
        log_test_reading(log, loaded, metrics, dataset_digest(rows))
        say(f"logged in {log}")
    figures = metrics.as_dict()
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "bundle": loaded.manifest.name,
                    "sha256": loaded.digest,
                    "split": split.value,
                    "metrics": figures,
                    "notice": loaded.manifest.notice,
                }
            )
        )
        return
    print_figures(split.value, figures, loaded.manifest.notice)
