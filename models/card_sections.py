"""What the card of a shipped bundle says beyond the card of any other.

All figures come from ``docs/results/cards/NAME/figures.json``, which models/publish.py gathers;
what is true of every model trained on the Kermany set stands in kermany.md.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cxr_edge_convert.card import EVALUATION, EXAMINATION, IMPACT

KERMANY = Path(__file__).with_name("kermany.md")
# Of a folder of the repository, seen from a shipped bundle.
_PICTURES = "../../../docs/results/cards"

Figures = Mapping[str, Any]


def shipped_sections(name: str, figures: Figures) -> dict[str, str]:
    """Markdown by heading of :data:`cxr_edge_convert.card.HEADINGS`.

    Args:
        name: of the bundle.
        figures: see :func:`gathered` in models/publish.py.
    """
    sections = _by_heading(KERMANY.read_text(encoding="utf-8"))
    return sections | {
        EVALUATION: "\n".join(
            [
                _readings(figures),
                _shifted(figures["shifted"]),
                _kinds(figures),
                _operating_points(figures["operating_points"]),
                _adults(figures["external_adult"]),
                _parity(figures["parity"]),
                _quantization(figures["conversion"]),
                f"![Calibration on test]({_PICTURES}/{name}/calibration.png)\n",
            ]
        ),
        EXAMINATION: _examination(name, figures["behaviour"]),
        IMPACT: _impact(figures["training"]),
    }


def _by_heading(text: str) -> dict[str, str]:
    parts = text.removeprefix("## ").split("\n## ")
    return {
        heading: body.strip("\n") + "\n" for heading, _, body in (p.partition("\n") for p in parts)
    }


def _interval(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _readings(figures: Figures) -> str:
    normals = figures["test"]["metrics"]["specificity"]["n"]
    return f"""\
The test images were read once for this model, on {figures["test_date"]}: docs/results/test-log.md
of the repository has this and every other reading. They are the part of the official test set at
hand, without exact duplicates. With {normals} normal films the specificity is known no better than
its interval says; at 0.90 that would be 0.83 to 0.94. While the project was planned the official
test set was looked at once, to see which kinds of augmentation help; earlier candidates were read
on it too and turned down. Threshold, temperature and this model were chosen on validation.
"""


def _shifted(shifted: Figures) -> str:
    return f"""\
### Shifted validation

Validation weighted so that no look of a film (which device it seems to be from) tells its label:
AUC {_interval(shifted["auc"])}, sensitivity {_interval(shifted["sensitivity"])}, specificity
{_interval(shifted["specificity"])}, at the frozen threshold.
"""


def _kinds(figures: Figures) -> str:
    rows = [
        [kind, *(_interval(figures[split]["by_kind"][kind]) for split in ("validation", "test"))]
        for kind in figures["test"]["by_kind"]
    ]
    return "### Share called right, by kind\n\n" + _table(("kind", "validation", "test"), rows)


def _operating_points(points: Sequence[Figures]) -> str:
    rows = [
        [
            f"{point['min_specificity']:.2f}",
            f"{point['threshold']:.3f}",
            *(
                _interval(point[split][figure])
                for split in ("validation", "test")
                for figure in ("sensitivity", "specificity")
            ),
        ]
        for point in points
    ]
    header = (
        "wanted specificity",
        "threshold",
        "validation: sensitivity",
        "specificity",
        "test: sensitivity",
        "specificity",
    )
    return (
        "### Other operating points\n\nEach threshold has the highest sensitivity on validation "
        "with the wanted specificity there. None\nof them was chosen on test, and none is used.\n\n"
        + _table(header, rows)
    )


def _adults(adults: Figures) -> str:
    metrics = adults["metrics"]
    return f"""\
### Adults of another hospital

{adults["n"]} films of adults (NIH), read once, with the threshold above and no gate: AUC
{_interval(metrics["auc"])}, sensitivity {_interval(metrics["sensitivity"])}, specificity
{_interval(metrics["specificity"])}, expected calibration error
{_interval(metrics["expected_calibration_error"])}. Not good enough for anything.
"""


def _parity(parity: Figures) -> str:
    return f"""\
### Full-resolution originals

Users bring originals, training had 224 px copies. On {parity["images"]} originals of training films
the decision equals the one on the copy of the same name for **{parity["same_decision"]}**; the
probability moves by {parity["mean_probability_shift"]} on average and by
{parity["largest_probability_shift"]} at most. The gate rejects {parity["rejected"]} of them.
"""


def _quantization(conversion: Figures) -> str:
    return f"""\
### Against the float model

On validation INT8 loses {conversion["recall_drop"]:.4f} sensitivity,
{conversion["specificity_drop"]:.4f} specificity and {conversion["auc_drop"]:.4f} AUC (below zero:
it gains) and decides alike on {conversion["agreement"]:.2%}.
"""


def _examination(name: str, behaviour: Figures) -> str:
    shortcuts, maps = behaviour["shortcuts"], behaviour["activation_maps"]
    rows = [
        [
            change,
            f"{found['mean_probability_shift']:.3f}" if "decisions_changed" in found else "–",
            f"{found['decisions_changed']:.1%}" if "decisions_changed" in found else "–",
            f"{found['auc']:.3f}",
        ]
        for change, found in shortcuts.items()
    ]
    shares = ", ".join(
        f"{maps[kind]['mean_share_in_box']:.0%} in {maps[kind]['films']} {kind} decisions"
        for kind in ("right", "wrong")
        if kind in maps
    )
    return f"""\
{behaviour["films"]} validation films, changed in ways that no pneumonia changes:

{_table(("films", "mean shift of the probability", "other decisions", "AUC"), rows)}
"Inverted" is no shortcut but what the gate is for: it names such films. Of what the activation map
counts towards the answer, a box around the lungs ({maps["box_share_of_area"]:.0%} of the area)
holds {shares}.

![Activation maps of right and wrong decisions]({_PICTURES}/{name}/activation_maps.png)
"""


def _impact(training: Figures) -> str:
    minutes = training["seconds"] / 60
    return f"""\
Trained in {minutes:.0f} minutes on {training["devices"]} (two cores of a shared machine). At an
assumed 20 W for two cores that is {20 * minutes / 60 / 1000:.3f} kWh. The experiments before it
took some tens of hours of the same.
"""
