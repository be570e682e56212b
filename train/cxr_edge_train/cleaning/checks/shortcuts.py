"""Properties of the file that predict the label: a network may learn them instead of the lungs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from cxr_edge_train.cleaning.checks.check import Check, CheckContext, IntervalPlot, Summary
from cxr_edge_train.cleaning.inventory import KEPT, Inventory
from cxr_edge_train.dataset.patients import patient_groups
from cxr_edge_train.statistics.intervals import Interval, patient_bootstrap
from cxr_edge_train.statistics.ranking import Ranking

# The keys of the report, and what people are shown.
FEATURES = {
    "width": "width",
    "height": "height",
    "aspect": "aspect ratio",
    "bytes": "file size",
    "jpeg_step": "JPEG quantisation step",
    "mode": "colour mode",
}

# Alarm where the lower end of an AUC's interval is above this. 0.5 is chance, and 0.65 leaves room
# for classes that differ mildly; on the full-size Kermany originals the quantiser alone gives 0.99.
# In 120 draws of random files, 20 to 200 patients a label, the highest lower end was 0.60.
LIMIT = 0.65
# Patients of each label. With fewer, a fold holds only a handful and chance looks like a shortcut.
MIN_PATIENTS = 20
# Images that are used, drawn at random: their AUC is known to 0.02; more would only take longer.
MAX_IMAGES = 2_000

_FOLDS = 5
_SEED = 0
_COLUMNS = ("path", "patient", "label", "width", "height", "bytes", "jpeg_step", "mode")


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """How well properties of the file predict the label, without looking at any pixel.

    The field names are the keys of the report.

    Attributes:
        verdict: ``alarm`` where the lower end of an interval is above ``limit``, and
            ``not_checked`` where there are too few patients.
        limit: see ``verdict``.
        auc: AUC of all properties together, ``None`` when not checked.
        by_feature: AUC of each property on its own, empty when not checked.
        words: the finding in a sentence or two.
    """

    verdict: Literal["alarm", "none", "not_checked"]
    limit: float
    auc: Interval | None
    by_feature: Mapping[str, Interval]
    words: str


def find_shortcuts(inventory: Inventory) -> Shortcuts:
    """Predict the label from properties of the file, by cross-validation grouped by patient.

    A decision tree is given all of :data:`FEATURES` together, then each on its own. The mean step
    of the luma quantisation table is 0 where the file is not a JPEG. Images in ``test`` are not
    used: their labels are reserved for the final evaluation.

    Args:
        inventory: all files, after
            :func:`cxr_edge_train.cleaning.checks.duplicates.leave_out_duplicates`.
    """
    condition = f"state = '{KEPT}' AND split != 'test'"
    rows = inventory.connection.execute(
        f"SELECT {', '.join(_COLUMNS)} FROM files WHERE {condition} ORDER BY position"
    )
    order = np.random.default_rng(_SEED).permutation(inventory.count(condition))
    chosen = set(order[:MAX_IMAGES].tolist())
    table = pd.DataFrame.from_records(
        [row for index, row in enumerate(rows) if index in chosen], columns=list(_COLUMNS)
    )
    patients = patient_groups(table).to_numpy(object)
    positive = (table["label"] == inventory.names.positive).to_numpy()
    fewest = min(len(np.unique(patients[positive == label])) for label in (True, False))
    if fewest < MIN_PATIENTS:
        text = (
            f"Not checked: a label has {fewest} patients, {MIN_PATIENTS} of each are needed to "
            "distinguish a shortcut from chance."
        )
        return Shortcuts("not_checked", LIMIT, None, {}, text)
    features = _features(table)
    folds = list(
        StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=_SEED).split(
            features, positive, patients
        )
    )
    auc = _auc(features.to_numpy(), positive, patients, folds)
    by_feature = {
        name: _auc(features[[name]].to_numpy(), positive, patients, folds) for name in FEATURES
    }
    predictive = [name for name, interval in by_feature.items() if interval.low > LIMIT]
    verdict: Literal["alarm", "none"] = "alarm" if predictive or auc.low > LIMIT else "none"
    return Shortcuts(verdict, LIMIT, auc, by_feature, _text(auc, by_feature, predictive))


def _features(table: pd.DataFrame) -> pd.DataFrame:
    modes = {mode: number for number, mode in enumerate(sorted(set(table["mode"])))}
    features = table.assign(
        aspect=table["width"] / table["height"],
        jpeg_step=table["jpeg_step"].astype(float).fillna(0.0),  # no table has a step of 0
        mode=table["mode"].map(modes),
    )
    return features[list(FEATURES)].astype(float)


def _auc(
    features: NDArray[np.float64],
    positive: NDArray[np.bool_],
    patients: NDArray[np.object_],
    folds: list[tuple[NDArray[np.intp], NDArray[np.intp]]],
) -> Interval:
    """Measure the AUC of held-out predictions; features are ``[N, F]``, the others ``[N]``."""
    tree = DecisionTreeClassifier(max_depth=4, min_samples_leaf=5, random_state=_SEED)
    predicted = cross_val_predict(tree, features, positive, cv=folds, method="predict_proba")[:, 1]

    ranking = Ranking(predicted, positive.astype(np.int64))
    drawn = patient_bootstrap(
        lambda weights: {"auc": ranking.areas(weights)[0]}, patients, seed=_SEED
    )
    return drawn["auc"]


def _text(auc: Interval, by_feature: Mapping[str, Interval], predictive: list[str]) -> str:
    if not predictive and auc.low <= LIMIT:
        return (
            f"File properties predict the label with AUC {auc}; there is an alarm only where the "
            f"interval lies above {LIMIT}."
        )
    if predictive == ["bytes"]:
        return (
            f"File size alone predicts the label (AUC {by_feature['bytes'].value:.2f}). At equal "
            "dimensions and JPEG quality, file size follows image content, so this may be real "
            "anatomy rather than a shortcut."
        )
    text = (
        f"File properties predict the label (AUC {auc}), so a network may learn them instead of "
        "the lungs."
    )
    if predictive:
        names = ", ".join(FEATURES[name] for name in predictive)
        text += f" Each of these does so on its own: {names}."
    return text + " Bring all images to one size and one JPEG quality before training."


def _run(context: CheckContext) -> Shortcuts:
    return find_shortcuts(context.inventory)


def _summarise(shortcuts: Shortcuts) -> Summary:
    metrics = {} if shortcuts.auc is None else {"all together": shortcuts.auc}
    metrics |= {FEATURES.get(name, name): auc for name, auc in shortcuts.by_feature.items()}
    return Summary(
        shortcuts.words,
        shortcuts.verdict,
        alarm=shortcuts.verdict == "alarm",
        columns=("property", "AUC [95% interval]", "images"),
        rows=tuple((name, str(auc), f"{auc.n:,}") for name, auc in metrics.items()),
        plot=IntervalPlot(
            title="Label from file properties alone",
            axis="area under the ROC curve (AUC)",
            intervals=metrics,
            chance=0.5,
            limit=shortcuts.limit,
            caption="How well file properties alone predict the label, with 95% intervals. Dots "
            "near 0.5 are harmless; look for those beyond the limit.",
        )
        if metrics
        else None,
    )


CHECK = Check(
    "shortcuts",
    Shortcuts,
    _run,
    _summarise,
    explanation="A shortcut is a property of the file, not of the chest, that predicts the label: "
    "a model that learns it fails wherever the files are made in another way.",
)
