"""What the card of a shipped bundle says in addition to the card of any other bundle.

The model's figures come from ``docs/results/cards/NAME/figures.json``, which card_figures.py
gathers. kermany.md holds what is true of every model that was trained on the Kermany set.
"""

from pathlib import Path

from card_evaluation import PICTURES, Figures, evaluation_text
from cxr_edge_convert.bundling.model_card import EVALUATION, EXAMINATION, IMPACT, TRAINING
from cxr_edge_train.reporting.markdown import markdown_table
from cxr_edge_train.reporting.page import Table
from cxr_edge_train.statistics.intervals import Interval

KERMANY = Path(__file__).with_name("kermany.md")
# Two cores of a shared server, without cooling; the world's mean in 2023 (Ember 2024).
_WATTS, _KG_CO2E_PER_KWH = 20, 0.48
# Of all experiments for all shipped models together, estimated from the sessions they took.
_HOURS_OF_EXPERIMENTS = 80

# Kinds of decisions in figures.json, and in the card.
_DECISIONS = {
    "right": "correct decisions",
    "false alarms": "false alarms",
    "missed": "missed pneumonias",
}
# A share that exceeds that of a map without a film by less than this proves nothing.
_HARDLY = 0.15


def shipped_sections(name: str, figures: Figures) -> dict[str, str]:
    """Write the Markdown of each section, by its heading.

    Args:
        name: the bundle's.
        figures: what :func:`card_figures.gathered` returned.

    Returns:
        Keys are of :data:`cxr_edge_convert.bundling.model_card.HEADINGS`.
    """
    sections = _by_heading(KERMANY.read_text(encoding="utf-8"))
    return sections | {
        TRAINING: _training(figures["training"]) + "\n" + sections[TRAINING],
        EVALUATION: evaluation_text(name, figures),
        EXAMINATION: _examination(name, figures["behaviour"]),
        IMPACT: _impact(figures["training"]),
    }


def _by_heading(text: str) -> dict[str, str]:
    parts = text.removeprefix("## ").split("\n## ")
    return {
        heading: body.strip("\n") + "\n" for heading, _, body in (p.partition("\n") for p in parts)
    }


def _training(training: Figures) -> str:
    fit, model = training["recipe"]["fit"], training["recipe"]["model"]
    rows = [
        [f"{split}, {kind}", f"{count['films']:,}", f"{count['patients']:,}"]
        for split, kinds in training["films"].items()
        for kind, count in kinds.items()
    ]
    return f"""\
Width multiplier {model["alpha"]}, {training["parameters"]:,} parameters, {fit["epochs"]} epochs
with batches of {fit["batch_size"]} and a learning rate of up to {fit["learning_rate"]},
moving average of weights {fit["weight_average"]}, last epoch kept.

{markdown_table(Table(("split, kind", "films", "patients"), rows))}
Age and sex of the children are not recorded per film.
"""


def _examination(name: str, behaviour: Figures) -> str:
    rows = [
        [
            change,
            f"{found['auc']:.3f}",
            str(Interval(**found["sensitivity"])),
            str(Interval(**found["specificity"])),
            f"{found['decisions_changed']:.1%}",
            *(f"{found['shift'][label]:+.3f}" for label in ("NORMAL", "PNEUMONIA")),
        ]
        for change, found in behaviour["changes"].items()
    ]
    header = (
        "films",
        "AUC",
        "sensitivity",
        "specificity",
        "decisions changed",
        "mean shift of the probability: NORMAL",
        "PNEUMONIA",
    )
    counts = " and ".join(f"{count} {label}" for label, count in behaviour["films"].items())
    return f"""\
Validation films with outlined lungs ({counts}), altered without changing the diagnosis, at the
frozen threshold. A model that relied on the lungs alone would not change its predictions; the
shifts show how much it relies on other regions.

{markdown_table(Table(header, rows))}
{_framing(behaviour["framing"])}

{_maps(behaviour["activation_maps"])}

![Activation maps of correct and wrong decisions]({PICTURES}/{name}/activation_maps.png)
"""


def _framing(framing: Figures) -> str:
    film, view = (framing[f"auc_of_height_in_{shown}"] for shown in ("film", "view"))
    told = (
        "How much of a film's height the lungs fill predicts the label of these films with an AUC "
        f"of {film:.3f}"
    )
    if framing["decisions_changed_by_true_box"] is None:
        return f"{told}; this model gets whole films."
    return (
        f"{told}. The box removes little of that: how much of the height of the model's input they "
        f"fill has an AUC of {view:.3f}. With boxes from the outlines instead of the lung locator, "
        f"{framing['decisions_changed_by_true_box']:.1%} of the decisions change."
    )


def _maps(maps: Figures) -> str:
    kinds = [(words, maps[kind]) for kind, words in _DECISIONS.items() if kind in maps]
    rows = [
        [words, str(kind["films"]), *(f"{kind[name]:.0%}" for name in ("maps", "even", "blob"))]
        for words, kind in kinds
    ]
    header = ("", "films", "share in the lungs", "of a uniform map", "of a central blob")
    clear = [kind["maps"] >= max(kind["even"], kind["blob"]) + _HARDLY for _, kind in kinds]
    verdict = (
        ""
        if all(clear)
        else f"\n{'Not every' if any(clear) else 'No'} share is clearly above those of the "
        "comparison maps: there is no evidence that this model looks at the lungs."
    )
    height, width = maps["cells"]
    return f"""\
Share of the evidence in the activation map that lies in the lungs; heart and spine are not counted,
although lung lies behind them. For comparison: a uniform map and a blob in the centre, the same for
every film.

{markdown_table(Table(header, rows))}{verdict}
With {height}x{width} cells the map is coarse. The picture shows randomly chosen correct decisions
and the wrong decisions furthest from the threshold, half of them false alarms if there are enough.
Lung outlines: V7 Labs, *covid-19-xray-dataset*, CC BY 4.0."""


def _impact(training: Figures) -> str:
    hours = training["seconds"] / 3600
    own, all_ = (_WATTS / 1000 * each for each in (hours, hours + _HOURS_OF_EXPERIMENTS))
    return f"""\
Trained in {60 * hours:.0f} minutes on {training["devices"]} (two cores of a shared
machine): {own:.2g} kWh at an assumed {_WATTS} W. With all experiments for all shipped
models, about {_HOURS_OF_EXPERIMENTS} hours, it is {all_:.1f} kWh and, at the world average of
{_KG_CO2E_PER_KWH} kg/kWh in 2023, {all_ * _KG_CO2E_PER_KWH:.1f} kg CO2e.
"""
