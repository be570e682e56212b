"""``evaluation.html``: what was measured, for a reader."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_train.evaluation.evaluation import Evaluation
from cxr_edge_train.evaluation.subgroups import FEW, Subgroup, worst_of
from cxr_edge_train.reporting.figures import (
    NEGATIVE_COLOUR,
    NEUTRAL,
    POSITIVE_COLOUR,
    new_figure,
    save_figure,
)
from cxr_edge_train.reporting.page import Picture, Section, Table, write_page
from cxr_edge_train.statistics.intervals import Interval

PAGE = "evaluation.html"
_MEASURES = (("sensitivity", POSITIVE_COLOUR), ("specificity", NEGATIVE_COLOUR))
_CAPTIONS = {
    "roc.png": "Sensitivity against false positive rate; the dot marks the threshold in use.",
    "precision_recall.png": "Precision against recall; the dot marks the threshold in use.",
    "reliability.png": "Observed share of the finding against its mean predicted probability.",
    "confusion.png": "Decisions by label.",
    "worst_errors.png": "The wrong decisions whose probabilities are furthest from their labels.",
}


def write_evaluation_page(output: Path, evaluation: Evaluation, figures: Path) -> None:
    """Write the page of an evaluation.

    Args:
        output: the folder of the evaluation.
        evaluation: what was measured.
        figures: the folder of its plots.
    """
    negative, positive = evaluation.labels
    n, correct = evaluation.n, evaluation.correct
    sections = [
        Section(
            "Results",
            [
                f"{correct:,} of {n:,} decisions are correct. {positive} is the finding, "
                f"{negative} the other label. Brackets hold 95% intervals."
            ],
            alarm=" ".join(f"{text[0].upper()}{text[1:]}." for text in evaluation.warnings),
            tables=[
                Table(
                    ["metric", "value", "images"],
                    [
                        [name.replace("_", " "), str(metric), f"{metric.n:,}"]
                        for name, metric in evaluation.metrics.by_name().items()
                    ],
                )
            ],
            pictures=[Picture(figures / name, text) for name, text in _CAPTIONS.items()],
        )
    ]
    if evaluation.subgroups:
        sections.append(_subgroups(evaluation, figures / "subgroups.png"))
    title = f"Evaluation of {evaluation.model.run or evaluation.model.bundle}"
    write_page(output / PAGE, title=title, notice=NOTICE, sections=sections)


def worst_words(subgroups: Sequence[Subgroup]) -> str:
    """Which subgroup is the worst, in a sentence for each measure, or that all are small."""
    sentences = []
    for measure, _ in _MEASURES:
        worst = worst_of(subgroups, measure)
        if worst is not None:
            sentences.append(f"{worst.name} has the lowest {measure}: {getattr(worst, measure)}.")
    if subgroups and not sentences:
        return f"No column has two groups with {FEW} films of a label, so no worst group is named."
    return " ".join(sentences)


def share_text(share: Interval | None) -> str:
    """A share with its interval, marked where it is of few films; empty where there is none."""
    if share is None:
        return ""
    return f"{share}  n = {share.n}" + (" (few)" if share.n < FEW else "")


def _subgroups(evaluation: Evaluation, file: Path) -> Section:
    groups = evaluation.subgroups
    return Section(
        "Subgroups",
        [
            worst_words(groups),
            f"Groups with fewer than {FEW} films of a label are marked (few): chance alone can "
            "change their metrics a lot.",
        ],
        tables=[
            Table(
                ["column", "value", "films", "sensitivity", "specificity"],
                [
                    [
                        group.column,
                        group.value,
                        f"{group.n:,}",
                        share_text(group.sensitivity),
                        share_text(group.specificity),
                    ]
                    for group in groups
                ],
            )
        ],
        pictures=[
            Picture(
                save_figure(_draw(evaluation), file),
                "Sensitivity and specificity of each subgroup with 95% intervals; hollow where "
                f"there are fewer than {FEW} films, the dotted line is that of all films.",
            )
        ],
    )


def _draw(evaluation: Evaluation) -> Figure:
    groups = evaluation.subgroups
    figure = new_figure(10.0, 1.4 + 0.28 * len(groups))
    for axes, (measure, colour) in zip(figure.subplots(1, 2, sharey=True), _MEASURES):
        for place, group in enumerate(reversed(groups)):
            share = getattr(group, measure)
            if share is None:
                continue
            axes.plot([share.low, share.high], [place, place], color=NEUTRAL, linewidth=1.5)
            fill = "white" if share.n < FEW else colour
            axes.plot(share.value, place, "o", color=colour, markerfacecolor=fill, markersize=6)
        axes.axvline(evaluation.metrics.by_name()[measure].value, color="black", linestyle=":")
        axes.set(xlim=(-0.02, 1.02), xlabel=measure, ylim=(-0.6, len(groups) - 0.4))
        axes.set_yticks(range(len(groups)), [_shown(group) for group in reversed(groups)])
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _shown(group: Subgroup) -> str:
    # Matplotlib would take text between dollar signs for a formula.
    return f"{group.name} ({group.n})".replace("$", r"\$")
