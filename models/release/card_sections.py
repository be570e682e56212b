"""What the card of a shipped bundle says in addition to the card of any other bundle.

The model's figures come from ``docs/results/cards/NAME/figures.json``, which card_figures.py
gathers. kermany.md holds what is true of every model that was trained on the Kermany set.
"""

from pathlib import Path

from card_evaluation import PICTURES, Figures, evaluation_text
from cxr_edge_convert.bundling.model_card import EVALUATION, EXAMINATION, IMPACT, TRAINING
from cxr_edge_train.reporting.markdown import markdown_table
from cxr_edge_train.reporting.page import Table

KERMANY = Path(__file__).with_name("kermany.md")
# Two cores of a shared server, without cooling; the world's mean in 2023 (Ember 2024).
_WATTS, _KG_CO2E_PER_KWH = 20, 0.48
# Of all experiments for all shipped models together, estimated from the sessions they took.
_HOURS_OF_EXPERIMENTS = 60

# Kinds of decisions in figures.json, and in the card.
_DECISIONS = {
    "right": "correct decisions",
    "false alarms": "false alarms",
    "missed": "missed pneumonias",
}
# A share that exceeds that of an even map by less than this proves nothing.
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
    taught = (
        f"{fit['teachers']} networks were trained first, from other seeds; this one started from "
        "the mean of their\nweights and was trained on their mean prediction of each augmented "
        "film."
        if fit["teachers"]
        else "Trained on the labels."
    )
    rows = [
        [f"{split}, {kind}", f"{count['films']:,}", f"{count['patients']:,}"]
        for split, kinds in training["films"].items()
        for kind, count in kinds.items()
    ]
    return f"""\
Width multiplier {model["alpha"]}, {training["parameters"]:,} parameters, {fit["epochs"]} epochs of
batches of {fit["batch_size"]} at a learning rate of up to {fit["learning_rate"]}, moving average of
weights {fit["weight_average"]}, last epoch kept. {taught}

{markdown_table(Table(("split, kind", "films", "patients"), rows))}
Age and sex of the children are not recorded per film.
"""


def _examination(name: str, behaviour: Figures) -> str:
    shortcuts, maps = behaviour["shortcuts"], behaviour["activation_maps"]
    rows = [
        [
            change,
            f"{found['mean_probability_shift']:.3f}",
            *(
                text
                for label in ("NORMAL", "PNEUMONIA")
                for text in (f"{found[label]['shift']:+.3f}", f"{found[label]['right']:.1%}")
            ),
            f"{found['auc']:.3f}",
        ]
        for change, found in shortcuts.items()
    ]
    header = (
        "films",
        "mean absolute shift of the probability",
        "normal films: shift",
        "correct",
        "pneumonia: shift",
        "correct",
        "AUC",
    )
    shares = ", ".join(
        f"{maps[kind]['mean_share_in_box']:.0%} in {words} ({maps[kind]['films']})"
        for kind, words in _DECISIONS.items()
        if kind in maps
    )
    even, blob = maps["box_share_of_area"], maps["blob_share_in_box"]
    least = min(maps[kind]["mean_share_in_box"] for kind in _DECISIONS if kind in maps)
    verdict = (
        "\nNot all shares are clearly above that: this model is not shown to look at the lungs."
        if least < max(even, blob) + _HARDLY
        else ""
    )
    height, width = maps["cells"]
    counts = " and ".join(f"{count} {label}" for label, count in behaviour["films"].items())
    return f"""\
Validation films ({counts}), changed where no pneumonia is. A model that relied on the lungs alone
would not change its predictions; the shifts show how much it relies on other places.

{markdown_table(Table(header, rows))}
Corners reach slightly into the box around the lungs, the blacked-out borders do not. An inverted
film shows air where there was an opacity, so a high AUC there means that the network relies on
edges and texture more than on brightness; the gate recognizes such films and rejects them.

Of the evidence in the activation map, a box around lungs, heart and spine holds
{shares}; an even map would have {even:.0%} in it, and a blob in the middle that looks at no film
{blob:.0%}.{verdict}
With {height}x{width} cells the map is coarse. Correct decisions were drawn at random; of the wrong
ones those furthest from the threshold are shown, half of them false alarms where there are so many.

![Activation maps of correct and wrong decisions]({PICTURES}/{name}/activation_maps.png)
"""


def _impact(training: Figures) -> str:
    hours = training["seconds"] / 3600
    own, all_ = (_WATTS / 1000 * each for each in (hours, hours + _HOURS_OF_EXPERIMENTS))
    teachers = ", teachers included" if training["recipe"]["fit"]["teachers"] else ""
    return f"""\
Trained in {60 * hours:.0f} minutes on {training["devices"]} (two cores of a shared
machine){teachers}: {own:.2g} kWh at an assumed {_WATTS} W. With all experiments for all shipped
models, about {_HOURS_OF_EXPERIMENTS} hours, it is {all_:.1f} kWh and, at the world average of
{_KG_CO2E_PER_KWH} kg/kWh in 2023, {all_ * _KG_CO2E_PER_KWH:.1f} kg CO2e.
"""
