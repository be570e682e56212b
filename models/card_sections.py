"""What the card of a shipped bundle says beyond the card of any other.

Figures of the model come from ``docs/results/cards/NAME/figures.json``, which models/publish.py
gathers; what is true of every model trained on the Kermany set stands in kermany.md.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cxr_edge_convert.card import EVALUATION, EXAMINATION, IMPACT, TRAINING
from cxr_edge_train.evaluation.intervals import wilson_interval_of_share

KERMANY = Path(__file__).with_name("kermany.md")
# Of a folder of the repository, seen from a shipped bundle.
_PICTURES = "../../../docs/results/cards"
# Two cores of a shared server, without cooling; the world's mean in 2023 (Ember 2024).
_WATTS, _KG_CO2E_PER_KWH = 20, 0.48
# Of all experiments for all shipped models together, estimated from the sessions they took.
_HOURS_OF_EXPERIMENTS = 60

# What the maps of some decisions are called.
_DECISIONS = {
    "right": "right decisions",
    "false alarms": "false alarms",
    "missed": "missed pneumonias",
}
# A share so near to that of an even map says nothing.
_HARDLY = 0.15

Figures = Mapping[str, Any]


def shipped_sections(name: str, figures: Figures) -> dict[str, str]:
    """Markdown by heading of :data:`cxr_edge_convert.card.HEADINGS`.

    Args:
        name: of the bundle.
        figures: see :func:`gathered` in models/publish.py.
    """
    sections = _by_heading(KERMANY.read_text(encoding="utf-8"))
    return sections | {
        TRAINING: _training(figures["training"]) + "\n" + sections[TRAINING],
        EVALUATION: "\n".join(
            [
                _readings(figures),
                _shifted(figures),
                _kinds(figures),
                _operating_points(figures),
                _calibration(name, figures),
                _adults(figures["external_adult"]),
                _parity(figures["parity"]),
                _quantization(figures["conversion"]),
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


def _training(training: Figures) -> str:
    fit, model = training["recipe"]["fit"], training["recipe"]["model"]
    taught = (
        f"{fit['teachers']} networks were fitted first, from other seeds; this one began with the "
        "mean of their\nweights and was fitted to their mean answer on each augmented film."
        if fit["teachers"]
        else "Fitted to the labels."
    )
    rows = [
        [
            f"{split}, {kind}",
            f"{count['films']:,}",
            f"{count['patients']:,}",
        ]
        for split, kinds in training["films"].items()
        for kind, count in kinds.items()
    ]
    return f"""\
Width multiplier {model["alpha"]}, {training["parameters"]:,} parameters, {fit["epochs"]} epochs of
batches of {fit["batch_size"]} at a learning rate of up to {fit["learning_rate"]}, moving average of
weights {fit["weight_average"]}, last epoch kept. {taught}

{_table(("split, kind", "films", "patients"), rows)}
Age and sex of the children are not known by film.
"""


def _readings(figures: Figures) -> str:
    normals = figures["test"]["metrics"]["specificity"]["n"]
    at = wilson_interval_of_share(0.9, normals)
    return f"""\
The test images were read once for this model, on {figures["test_date"]}. They are the part of the
official test set at hand, without exact duplicates. With {normals} normal films a specificity of
0.90 has the interval {at.low:.2f} to {at.high:.2f}; the intervals of sensitivity and specificity
count films, of which a patient may have several, and are a little too narrow for that.

Take the test figures for somewhat flattered. No test film set weights or temperature; but other
models had been read on the same films before, each reading standing in docs/results/test-log.md of
the repository, and what they showed led to this recipe and to the sensitivity floor that sets the
threshold. Recipes were compared on the validation films too, so validation figures are the best of
several. And while the project was planned the whole official test set was looked at
once, to see which augmentation helps: the same network reached an AUC of 0.91 to 0.935 there with
mild and 0.985 to 0.987 with strong augmentation, at a specificity of 0.74 to 0.80. So the choice of
strong augmentation is not independent of test.
"""


def _shifted(figures: Figures) -> str:
    shifted = figures["shifted"]
    counts = "; ".join(
        f"{label} {', '.join(f'{look} {count}' for look, count in looks.items())}"
        for label, looks in shifted["films_by_look"].items()
    )
    test = figures["test"]["metrics"]
    return f"""\
### Shifted validation

Validation weighted so that no look of a film (which device it seems to be from) tells its label:
AUC {_interval(shifted["auc"])}, sensitivity {_interval(shifted["sensitivity"])}, specificity
{_interval(shifted["specificity"])}, at the frozen threshold. Films by look: {counts}. The weights
make the normal films worth {shifted["specificity"]["n"]} of equal weight. It did not foresee test,
where specificity is {test["specificity"]["value"]:.3f}.
"""


def _kinds(figures: Figures) -> str:
    rows = [
        [kind, *(_interval(figures[split]["by_kind"][kind]) for split in ("validation", "test"))]
        for kind in figures["test"]["by_kind"]
    ]
    return "### Share called right, by kind\n\n" + _table(("kind", "validation", "test"), rows)


def _operating_points(figures: Figures) -> str:
    rows = [
        [
            point["rule"],
            f"{point['threshold']:.3f}",
            *(
                _interval(point[split][figure])
                for split in ("validation", "test")
                for figure in ("sensitivity", "specificity")
            ),
        ]
        for point in figures["operating_points"]
    ]
    header = (
        "chosen on validation",
        "threshold",
        "validation: sensitivity",
        "specificity",
        "test: sensitivity",
        "specificity",
    )
    curve = [
        [f"{point['specificity']:.2f}", _interval(point["sensitivity"])]
        for point in figures["test_curve"]
    ]
    return f"""\
### Other operating points

Only the shipped one is used; it was chosen with looks weighted and from the float model's answers,
the others on validation as it is and from this model's. The lower the threshold, the fewer
pneumonias are missed and the more normal films are called PNEUMONIA.

{_table(header, rows)}
What test's own curve holds, for comparison with other models: nobody could have chosen these
thresholds without its labels.

{_table(("specificity on test, at least", "sensitivity there"), curve)}"""


def _calibration(name: str, figures: Figures) -> str:
    errors = {
        split: _interval(figures[split]["metrics"]["expected_calibration_error"])
        for split in ("validation", "test")
    }
    return f"""\
### Calibration

Expected calibration error {errors["validation"]} on validation, {errors["test"]} on test. Both
labels weigh the same in training, so probabilities are as if half of the films showed pneumonia:
too low on validation, where four in five do, and nearer on test, where five in eight do. One
temperature cannot mend that. Where pneumonia is rarer than one in two, expect them to be too high.

![Calibration on test]({_PICTURES}/{name}/calibration.png)
"""


def _adults(adults: Figures) -> str:
    metrics = adults["metrics"]
    return f"""\
### Adults of another hospital

{adults["n"]} films of 70 patients of 12 years and more (NIH ChestX-ray14, labels of RSNA's
radiologists), read once, with the threshold above and no gate: AUC
{_interval(metrics["auc"])}, sensitivity {_interval(metrics["sensitivity"])}, specificity
{_interval(metrics["specificity"])}, expected calibration error
{_interval(metrics["expected_calibration_error"])}. The labels are "lung opacity" and "normal"; not
every opacity is a pneumonia. 35 of 50 opacities and 9 of 28 normal films are AP views, most of them
of patients lying down: the view alone tells the label with an AUC of 0.69. The model is not good
enough for anything here.
"""


def _parity(parity: Figures) -> str:
    return f"""\
### Full-resolution originals

Users bring originals, training had 224 px copies. On {parity["images"]} originals of the train
folder, most of which this model learned from, the decision equals the one on the copy of the same
name for **{parity["same_decision"]}**; the probability moves by
{parity["mean_probability_shift"]:.3f} on average, at most by
{parity["largest_probability_shift"]:.3f}. The gate rejects {parity["rejected"]} of them.
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
        "mean shift of the probability, either way",
        "normal films: shift",
        "called right",
        "pneumonia: shift",
        "called right",
        "AUC",
    )
    shares = ", ".join(
        f"{maps[kind]['mean_share_in_box']:.0%} in {words} ({maps[kind]['films']})"
        for kind, words in _DECISIONS.items()
        if kind in maps
    )
    even = maps["box_share_of_area"]
    least = min(maps[kind]["mean_share_in_box"] for kind in _DECISIONS if kind in maps)
    verdict = (
        "\nNot all shares are clearly above that: this model cannot be said to look at the lungs."
        if least < even + _HARDLY
        else ""
    )
    height, width = maps["cells"]
    counts = " and ".join(f"{count} {label}" for label, count in behaviour["films"].items())
    return f"""\
Validation films ({counts}), changed where no pneumonia is. A model that went by the lungs alone
would keep its answers; what they move is what it takes from elsewhere.

{_table(header, rows)}
Corners reach a little into the lungs' box, the blacked-out borders do not. An inverted film shows
air where there was an opacity, so a high AUC there says that the network goes by edges and texture
more than by brightness; the gate names such films and refuses them.

Of what the activation map counts towards the answer, a box around lungs, heart and spine holds
{shares}; a map spread evenly would have {even:.0%} in it.{verdict}
With {height}x{width} cells the map is coarse. Right decisions were drawn at random, of wrong ones
the furthest from the threshold are shown, half of them false alarms where there are so many.

![Activation maps of right and wrong decisions]({_PICTURES}/{name}/activation_maps.png)
"""


def _impact(training: Figures) -> str:
    hours = training["seconds"] / 3600
    own, all_ = (_WATTS / 1000 * each for each in (hours, hours + _HOURS_OF_EXPERIMENTS))
    teachers = ", teachers included" if training["recipe"]["fit"]["teachers"] else ""
    return f"""\
Fitted in {60 * hours:.0f} minutes on {training["devices"]} (two cores of a shared
machine){teachers}: {own:.2g} kWh at an assumed {_WATTS} W. With all experiments for all shipped
models, about {_HOURS_OF_EXPERIMENTS} hours, it is {all_:.1f} kWh and, at the world's mean of
{_KG_CO2E_PER_KWH} kg/kWh in 2023, {all_ * _KG_CO2E_PER_KWH:.1f} kg CO2e.
"""
