"""What the card of a shipped bundle says of its figures; see card_sections.py."""

from collections.abc import Mapping
from typing import Any

from cxr_edge_train.reporting.markdown import markdown_table
from cxr_edge_train.reporting.page import Table
from cxr_edge_train.statistics.intervals import Interval, wilson_interval_of_share

# Of a folder of the repository, seen from a shipped bundle.
PICTURES = "../../../docs/results/cards"

Figures = Mapping[str, Any]


def evaluation_text(name: str, figures: Figures) -> str:
    """Markdown below the heading of evaluation.

    Args:
        name: of the bundle.
        figures: see :func:`gathered` in models/release/card_figures.py.
    """
    return "\n".join(
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
    )


def _interval(figure: Mapping[str, Any]) -> str:
    return str(Interval(**figure))


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
    return "### Share called right, by kind\n\n" + markdown_table(
        Table(("kind", "validation", "test"), rows)
    )


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

{markdown_table(Table(header, rows))}
What test's own curve holds, for comparison with other models: nobody could have chosen these
thresholds without its labels.

{markdown_table(Table(("specificity on test, at least", "sensitivity there"), curve))}"""


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

![Calibration on test]({PICTURES}/{name}/calibration.png)
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
