"""What a comparison leaves: one table as CSV, Markdown and HTML, plots, and the winner.

::

    DIR/
    ├── comparison.csv  comparison.md  comparison.html
    ├── figures/        recall.png  size.png  roc.png  learning.png
    ├── runs/           one finished run per candidate
    └── winner/         model.keras and MODEL_CARD.md
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.files import replacing, write_text
from cxr_edge_train.comparison.choice import Candidate, Choice
from cxr_edge_train.comparison.figures import draw_learning, draw_recall, draw_roc, draw_size
from cxr_edge_train.comparison.readings import Metrics, Readings
from cxr_edge_train.comparison.tables import csv_table, metrics_table, overview_table
from cxr_edge_train.reporting.figures import save_figure
from cxr_edge_train.reporting.markdown import markdown_page, markdown_table
from cxr_edge_train.reporting.page import Picture, Section, write_page
from cxr_edge_train.runs import Run, write_table

TITLE = "Architectures compared"
PAGE = "comparison.html"

_VALIDATION = (
    "All metrics in these tables were measured on the validation images, on which epoch, "
    "temperature, bias and threshold were chosen, so they are optimistic. Brackets "
    "hold 95% intervals."
)


def write_comparison(
    output: Path, candidates: Sequence[Candidate], choice: Choice, readings: Readings
) -> None:
    """Write tables, plots and the winner into a folder.

    Args:
        output: the folder; made where it is missing.
        candidates: in the order in which they are shown.
        choice: from :func:`cxr_edge_train.comparison.choice.choose`.
        readings: metrics on test of finalists by candidate; may be empty.
    """
    write_table(output / "comparison.csv", csv_table(candidates, choice))
    sections = _sections(candidates, choice, readings, _draw(output / "figures", candidates))
    write_text(output / "comparison.md", markdown_page(TITLE, NOTICE, sections, output))
    write_page(output / PAGE, title=TITLE, notice=NOTICE, sections=sections)
    _save_winner(output / "winner", choice, readings)


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
            "Validation loss by epoch, both labels weighted equally; a dot marks the "
            "epoch that was "
            "kept. A network whose curve is still falling at its end would gain from more epochs.",
        ),
    ]


def _sections(
    candidates: Sequence[Candidate],
    choice: Choice,
    readings: Readings,
    pictures: Sequence[Picture],
) -> list[Section]:
    names, metrics = zip(*((c.name, c.metrics.by_name()) for c in candidates))
    devices = " and ".join(dict.fromkeys(c.run.devices for c in candidates))
    rule = candidates[0].run.operating_point.rule
    return [
        Section(
            "The choice",
            [choice.reason, f"Finalists: {', '.join(c.name for c in choice.finalists)}."],
        ),
        Section(
            "Side by side",
            [
                _VALIDATION,
                _starts(candidates),
                *_shown(candidates[0].run),
                f"Trained and timed on {devices}.",
            ],
            tables=[overview_table(candidates, choice)],
            pictures=pictures,
        ),
        Section(
            "At each network's own operating point",
            [f"The threshold is chosen as the {rule} on validation."],
            tables=[metrics_table(names, metrics)],
        ),
        _test_section(choice, readings),
    ]


def _test_section(choice: Choice, readings: Readings) -> Section:
    title = "Finalists on test images"
    read = [c.name for c in choice.finalists if c.name in readings]
    if not read:
        return Section(
            title,
            [
                "Not measured yet. Each finalist may be measured on test once, by cxr-edge "
                "evaluate; then the same comparison, run again, shows the metrics here."
            ],
        )
    return Section(
        title,
        [
            "Measured once for each finalist, after the choice was made on validation, at "
            "thresholds frozen on validation. Nothing was chosen by these metrics."
        ],
        tables=[metrics_table(read, [readings[name] for name in read])],
    )


def _starts(candidates: Sequence[Candidate]) -> str:
    pretrained = [f"{c.name} from {c.run.weights}" for c in candidates if c.run.weights != "none"]
    random = [c.name for c in candidates if c.run.weights == "none"]
    if not pretrained:
        return "All networks started from random weights."
    text = f"Pretrained: {', '.join(pretrained)}."
    if random:
        text += (
            f" From random weights: {', '.join(random)}. Differences between the two groups are "
            "due to the initial weights as much as to the architecture."
        )
    return text


def _shown(run: Run) -> list[str]:
    """Where films are not shown whole, what is; the same for all candidates."""
    if not run.locator_sha256:
        return []
    return [
        "Films are cut to the box of their lungs by the lung locator whose locator.json has "
        f"SHA-256 {run.locator_sha256}."
    ]


def _save_winner(folder: Path, choice: Choice, readings: Readings) -> None:
    winner, run = choice.winner, choice.winner.run
    with replacing(folder / "model.keras") as temporary:
        shutil.copyfile(run.folder / "model.keras", temporary)
    measured: dict[str, Metrics] = {"validation": winner.metrics.by_name()}
    if winner.name in readings:
        measured["test, measured once"] = readings[winner.name]
    point, spec = run.operating_point, run.preprocess
    lines = [
        f"# {winner.name}",
        NOTICE,
        f"A Keras 3 model: input `image`, grey 0–255, {spec.height}x{spec.width}; outputs `logit`, "
        f"`cam`, `embedding`. The probability of {run.class_names.positive} is sigmoid((logit "
        f"{point.bias:+.4f}) / {point.temperature:.4f}); a film is labelled so at or above "
        f"{point.threshold:.4f} ({point.rule}, on validation).",
        *_shown(run),
        f"Initial weights: {run.weights}. Seed {run.seed}. Trained for "
        f"{len(winner.history)} epochs on {run.devices}.",
        "## Why this one",
        choice.reason,
        "## Metrics",
        markdown_table(metrics_table(list(measured), list(measured.values()))).rstrip(),
        "## Limits",
        "Epoch, temperature, bias and threshold were chosen on the validation images, so these "
        "metrics are optimistic. Performance on patients, hospitals and devices other than those "
        "of the data set is unknown.",
    ]
    write_text(folder / "MODEL_CARD.md", "\n\n".join(lines) + "\n")
