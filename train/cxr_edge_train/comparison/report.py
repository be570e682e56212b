"""What a comparison leaves: one table as CSV, Markdown and HTML, figures, and the winner.

::

    DIR/
    ├── comparison.csv  comparison.md  comparison.html
    ├── figures/        recall.png  size.png  roc.png  learning.png
    ├── runs/           one finished run an architecture
    └── winner/         model.keras and MODEL_CARD.md
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.files import replacing, write_text
from cxr_edge_train.comparison.choice import Candidate, Choice
from cxr_edge_train.comparison.figures import draw_learning, draw_recall, draw_roc, draw_size
from cxr_edge_train.reporting.figures import save_figure
from cxr_edge_train.reporting.markdown import markdown_page, markdown_table
from cxr_edge_train.reporting.page import Picture, Section, Table, write_page
from cxr_edge_train.runs import write_table
from cxr_edge_train.statistics.intervals import Interval

TITLE = "Architectures compared"
Metrics = Mapping[str, Interval]
Readings = Mapping[str, Metrics]

_VALIDATION = (
    "All figures of these tables are of validation images, on which epoch, temperature and "
    "threshold were chosen; they flatter. Brackets hold 95% intervals."
)


def read_test_log(log: Path, models: Mapping[str, str]) -> dict[str, Metrics]:
    """The test figures of the compared models, as ``cxr-edge evaluate --split test`` logged them.

    Args:
        log: one JSON object a line; may not exist.
        models: architecture by the SHA-256 of its ``model.keras``.

    Returns:
        The metrics by name, of each architecture whose model was read.

    Raises:
        DatasetError: the log is damaged, a model was read more than once, or two were read on
            different test images.
    """
    readings: dict[str, Metrics] = {}
    digests: dict[str, str] = {}
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            name, metrics = models.get(entry["model_sha256"]), entry["metrics"]
            intervals = {key: Interval(**value) for key, value in metrics.items() if name}
            digest = entry["test_digest"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"{log}: line {number} is damaged ({error})") from error
        if name in readings:
            raise DatasetError(
                f"{log}: {name} was read on test more than once; test is for one final figure"
            )
        if name:
            readings[name] = intervals
            digests[digest] = name
    if len(digests) > 1:
        raise DatasetError(
            f"{log}: {' and '.join(digests.values())} were read on different test images; figures "
            "of different images say nothing about which is better"
        )
    return readings


def write_comparison(
    output: Path, candidates: Sequence[Candidate], choice: Choice, readings: Readings
) -> None:
    """Write tables, figures and the winner into ``output``.

    Args:
        output: folder; made when missing.
        candidates: in the order they are shown.
        choice: from :func:`cxr_edge_train.comparison.choice.choose`.
        readings: test figures of finalists by architecture; may be empty.
    """
    write_table(output / "comparison.csv", _as_frame(candidates, choice))
    sections = _sections(candidates, choice, readings, _draw(output / "figures", candidates))
    write_text(output / "comparison.md", markdown_page(TITLE, NOTICE, sections, output))
    write_page(output / "comparison.html", title=TITLE, notice=NOTICE, sections=sections)
    _save_winner(output / "winner", choice, readings)


def _as_frame(candidates: Sequence[Candidate], choice: Choice) -> pd.DataFrame:
    rows = []
    for candidate in candidates:
        row: dict[str, object] = {
            "architecture": candidate.name,
            "winner": candidate is choice.winner,
            "finalist": candidate in choice.finalists,
            "weights": candidate.run.weights,
            "parameters": candidate.parameters,
            "float32_megabytes": round(candidate.megabytes, 3),
        }
        row |= _columns("recall_at_floor", candidate.recall)
        row |= _columns("specificity_at_floor", candidate.specificity)
        row["mcnemar_p"] = choice.p_values[candidate.name]
        for name, metric in candidate.metrics.by_name().items():
            row |= _columns(name, metric)
        row |= {
            "epochs": len(candidate.history),
            "training_seconds": candidate.run.seconds,
            "training_images_per_second": round(candidate.images_per_second, 1),
            "devices": candidate.run.devices,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _columns(name: str, metric: Interval) -> dict[str, float]:
    return {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}


def _draw(folder: Path, candidates: Sequence[Candidate]) -> list[Picture]:
    return [
        Picture(
            save_figure(draw_recall(candidates), folder / "recall.png"),
            "Validation recall at the specificity floor, with 95% intervals: where bars overlap "
            "widely, the order may be chance.",
        ),
        Picture(
            save_figure(draw_size(candidates), folder / "size.png"),
            "Validation AUC against the size of the float32 weights: up and to the left is better.",
        ),
        Picture(
            save_figure(draw_roc(candidates), folder / "roc.png"),
            "The upper left part of the ROC curves on validation; a dot marks "
            "where each network is compared.",
        ),
        Picture(
            save_figure(draw_learning(candidates), folder / "learning.png"),
            "Validation loss by epoch: a curve that still falls at its end was not trained out.",
        ),
    ]


def _sections(
    candidates: Sequence[Candidate],
    choice: Choice,
    readings: Readings,
    pictures: Sequence[Picture],
) -> list[Section]:
    overview = _by_architecture(
        [f"{c.name} (chosen)" if c is choice.winner else c.name for c in candidates],
        {
            "weights began": ["random" if c.run.weights == "none" else "pretrained"
                              for c in candidates],
            "parameters": [f"{c.parameters:,}" for c in candidates],
            "float32 weights, MB": [f"{c.megabytes:.1f}" for c in candidates],
            "recall at the floor": [str(c.recall) for c in candidates],
            "specificity there": [str(c.specificity) for c in candidates],
            "McNemar's p": [f"{choice.p_values[c.name]:.3f}"
                                                        for c in candidates],
            "AUC": [str(c.metrics.auc) for c in candidates],
            "epochs": [str(len(c.history)) for c in candidates],
            "training, minutes": [f"{c.run.seconds / 60:.1f}" for c in candidates],
            "training, images a second": [f"{c.images_per_second:.0f}" for c in candidates],
        },
    )  # fmt: skip
    metrics = _of_metrics([c.name for c in candidates], [c.metrics.by_name() for c in candidates])
    rule = candidates[0].run.operating_point.rule
    devices = " and ".join(dict.fromkeys(c.run.devices for c in candidates))
    return [
        Section(
            "The choice",
            [choice.reason, f"Finalists: {', '.join(c.name for c in choice.finalists)}."],
        ),
        Section(
            "Side by side",
            [_VALIDATION, _starts(candidates), f"Trained on {devices}; times are of that."],
            tables=[overview],
            pictures=pictures,
        ),
        Section(
            "At each network's own operating point",
            [f"The threshold is chosen as the {rule} on validation."],
            tables=[metrics],
        ),
        _test_section(choice, readings),
    ]


def _test_section(choice: Choice, readings: Readings) -> Section:
    title = "Finalists on test images"
    read = [c for c in choice.finalists if c.name in readings]
    if not read:
        return Section(
            title,
            [
                "Not read yet. Each finalist may be measured once: cxr-edge evaluate with "
                "--split test and --log; then the same cxr-edge compare shows the figures here."
            ],
        )
    return Section(
        title,
        [
            "Read once for each finalist, after the choice was made on validation, at thresholds "
            "frozen on validation. Nothing was chosen by these figures."
        ],
        tables=[_of_metrics([c.name for c in read], [readings[c.name] for c in read])],
    )


def _starts(candidates: Sequence[Candidate]) -> str:
    pretrained = [f"{c.name} from {c.run.weights}" for c in candidates if c.run.weights != "none"]
    random = [c.name for c in candidates if c.run.weights == "none"]
    if not pretrained:
        return "All networks began with random weights."
    words = f"Pretrained: {', '.join(pretrained)}."
    if random:
        words += (
            f" From random weights: {', '.join(random)}. Between the two groups this measures "
            "the start as much as the architecture."
        )
    return words


def _by_architecture(names: Sequence[str], rows: Mapping[str, Sequence[str]]) -> Table:
    return Table(["", *names], [[title, *cells] for title, cells in rows.items()])


def _of_metrics(names: Sequence[str], measured: Sequence[Metrics]) -> Table:
    metrics = list(dict.fromkeys(metric for each in measured for metric in each))
    return _by_architecture(
        names,
        {
            metric.replace("_", " "): [str(each.get(metric, "–")) for each in measured]
            for metric in metrics
        },
    )


def _save_winner(folder: Path, choice: Choice, readings: Readings) -> None:
    winner = choice.winner
    point = winner.run.operating_point
    with replacing(folder / "model.keras") as temporary:
        shutil.copyfile(winner.folder / "model.keras", temporary)
    figures: dict[str, Metrics] = {"validation": winner.metrics.by_name()}
    if winner.name in readings:
        figures["test, read once"] = readings[winner.name]
    lines = [
        f"# {winner.name}",
        NOTICE,
        "A Keras 3 model: input `image`, grey 0–255, "
        f"{winner.run.preprocess.height}x{winner.run.preprocess.width}; outputs `logit`, `cam`, "
        f"`embedding`. Probability of pneumonia is sigmoid(logit / {point.temperature:.4f}), "
        f"called PNEUMONIA from {point.threshold:.4f} on "
        f"({point.rule}, on validation).",
        f"Weights began with: {winner.run.weights}. Seed {winner.run.seed}. Trained for "
        f"{len(winner.history)} epochs on {winner.run.devices}.",
        "## Why this one",
        choice.reason,
        "## Figures",
        markdown_table(_of_metrics(list(figures), list(figures.values()))).rstrip(),
        "## Limits",
        "Validation images chose epoch, temperature and threshold, so their figures flatter. "
        "Nothing is known of patients, hospitals and devices other than those of the data set.",
    ]
    write_text(folder / "MODEL_CARD.md", "\n\n".join(lines) + "\n")
