"""The evaluation section of a shipped bundle's card; card_sections.py has the other sections."""

from collections.abc import Mapping
from typing import Any

from cxr_edge_train.reporting.markdown import markdown_table
from cxr_edge_train.reporting.page import Table
from cxr_edge_train.statistics.intervals import Interval, wilson_interval_of_share

# The folder of the pictures, as seen from the folder of a shipped bundle.
PICTURES = "../../../docs/results/cards"

Figures = Mapping[str, Any]


def evaluation_text(name: str, figures: Figures) -> str:
    """Write the Markdown below the heading of evaluation.

    Args:
        name: the bundle's.
        figures: what :func:`card_figures.gathered` returned.
    """
    return "\n".join(
        [
            _readings(figures),
            _shifted(figures),
            _kinds(figures),
            _operating_points(figures),
            _calibration(name, figures["test"]["metrics"]),
            _adults(figures["external_adult"]),
            _gate(figures["gate"]),
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
The test images were evaluated once for this model, on {figures["test_date"]}. They are the
available part of the official test set, without exact duplicates. With {normals} normal films a
specificity of 0.90 has a 95% interval of {at.low:.2f} to {at.high:.2f}. The intervals of
sensitivity and specificity count films and are slightly too narrow, since films of one patient are
not independent.

The test metrics are somewhat optimistic. No test film influenced weights, threshold or temperature,
and the rule for choosing among recipes was written down before the first evaluation on test; its
limit on originals was set, and for `tiny` widened, when metrics of candidates on validation were
known. The decision to give the model only the box of the lungs, and to train it on crops, was made
knowing how five probes had performed on 313 test films, and three of them on the other 311 of the
official set and on 127 other adults. Other models had been evaluated on the same films before:
docs/results/test-log.md in the repository lists every evaluation. Recipes were also compared on the
validation films, so validation metrics are the best of several.
"""


def _shifted(figures: Figures) -> str:
    shifted = figures["shifted"]
    counts = "; ".join(
        f"{label} {', '.join(f'{domain} {count}' for domain, count in domains.items())}"
        for label, domains in shifted["films_by_look"].items()
    )
    test = figures["test"]["metrics"]
    return f"""\
### Shifted validation

Validation weighted so that the acquisition domain of a film (the kind of device it seems to come
from) does not predict its label: AUC {_interval(shifted["auc"])}, sensitivity
{_interval(shifted["sensitivity"])}, specificity {_interval(shifted["specificity"])}, at the frozen
threshold. Films by acquisition domain: {counts}.

{_domains(shifted)}
After weighting, the normal films count as much as
{shifted["specificity"]["n"]} films of equal weight. On test, specificity is
{test["specificity"]["value"]:.3f}.
"""


def _domains(shifted: Figures) -> str:
    rows = [
        [
            domain,
            "–" if (auc := shifted["auc_within_look"][domain]) is None else f"{auc:.3f}",
            *("–" if each is None else _interval(each) for each in shares.values()),
        ]
        for domain, shares in shifted["by_look"].items()
    ]
    return markdown_table(Table(("domain", "AUC within it", "sensitivity", "specificity"), rows))


def _kinds(figures: Figures) -> str:
    rows = [
        [kind, *(_interval(figures[split]["by_kind"][kind]) for split in ("validation", "test"))]
        for kind in figures["test"]["by_kind"]
    ]
    return "### Share classified correctly, by kind\n\n" + markdown_table(
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

Only the shipped one is used. It was chosen on validation from the float model's predictions, the
others from those of this model, also on validation. The lower the
threshold, the fewer pneumonias are missed and the more normal films are labelled PNEUMONIA.

{markdown_table(Table(header, rows))}
The curve on test itself, for comparison with other models; these thresholds cannot be chosen
without the test labels.

{markdown_table(Table(("specificity on test, at least", "sensitivity"), curve))}"""


def _calibration(name: str, metrics: Figures) -> str:
    return f"""\
### Calibration

Expected calibration error on test, at the prevalence of validation:
{_interval(metrics["expected_calibration_error"])}.

![Calibration on test]({PICTURES}/{name}/calibration.png)
"""


def _adults(adults: Figures) -> str:
    metrics = adults["metrics"]
    return f"""\
### Adults from another hospital

{adults["n"]} films of 70 patients aged 12 and over (NIH ChestX-ray14, labels by RSNA's
radiologists), evaluated once, with the threshold above and no gate: AUC
{_interval(metrics["auc"])}, sensitivity {_interval(metrics["sensitivity"])}, specificity
{_interval(metrics["specificity"])}. The labels are "lung opacity" and "normal"; not
every opacity is a pneumonia. 35 of 50 opacities and 9 of 28 normal films are AP views, most of them
of patients lying down: the view alone predicts the label with an AUC of 0.69. Labels that
were mined from reports are not a reliable reference: the model that shipped until 2026-11-30 had an
AUC of 0.44 on 220 NIH adults whose films radiologists had not labelled, and of 0.89 on 127 whose
films they had. The model is not good enough for any use on such films.
"""


def _gate(gate: Figures) -> str:
    verdicts = ("accepted", "suspicious", "rejected")
    sets = {name: counts for name, counts in gate.items() if name != "model_sha256"}
    rows = [
        [name, *(str(counts[verdict]) for verdict in verdicts)] for name, counts in sets.items()
    ]
    return f"""\
### The input gate

{markdown_table(Table(("images", *verdicts), rows))}
The rule that a film in which lungs are found is never rejected for its distance was made with these
adults known, so their row is not an independent measurement.
"""


def _parity(parity: Figures) -> str:
    return f"""\
### Full-resolution originals

Users have originals; training used 224 px copies. Of {parity["images"]} originals from the train
folder, most of which this model was trained on, **{parity["same_decision"]}** are classified the
same as their copies; the probability changes by
{parity["mean_probability_shift"]:.3f} on average and by at most
{parity["largest_probability_shift"]:.3f}. The gate rejects {parity["rejected"]} of them.
"""


def _change(drop: float) -> str:
    return f"{round(-drop, 4) + 0.0:+.4f}"  # 0.0: there is no change of -0


def _quantization(conversion: Figures) -> str:
    return f"""\
### Against the float model

On validation INT8 changes sensitivity by {_change(conversion["recall_drop"])}, specificity by
{_change(conversion["specificity_drop"])} and AUC by {_change(conversion["auc_drop"])}, and agrees
with float on {conversion["agreement"]:.2%} of the films.
"""
