"""Can the label be told without looking at the picture? Then a network may learn to do the same."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from cxr_edge_train.cleaning.inventory import KEPT, Inventory
from cxr_edge_train.cleaning.report import Shortcuts
from cxr_edge_train.dataset.patients import patient_groups
from cxr_edge_train.statistics.intervals import Interval, patient_bootstrap
from cxr_edge_train.statistics.ranking import Ranking

FEATURES = ("width", "height", "aspect", "bytes", "jpeg_step", "mode")

# Alarm where the lower end of an AUC's interval is above this. 0.5 is chance, and 0.65 leaves room
# for classes that differ mildly; on the full-size Kermany originals the quantiser alone gives 0.99.
# In 120 draws of random files, 20 to 200 patients a label, the highest lower end was 0.60.
LIMIT = 0.65
# Of each label. With fewer, five folds hold a handful each and luck looks like skill.
MIN_PATIENTS = 20
# Images looked at, drawn at random: their AUC is known to 0.02, and more would only take longer.
MAX_IMAGES = 2_000

_FOLDS = 5
_SEED = 0
_COLUMNS = ("path", "patient", "label", "width", "height", "bytes", "jpeg_step", "mode")


def check_shortcuts(inventory: Inventory) -> Shortcuts:
    """Predict the label from properties of the file, by cross-validation grouped by patient.

    A decision tree sees all of :data:`FEATURES` together, then each alone: size, aspect ratio,
    bytes, mean step of the luma quantisation table (its absence tells other formats) and colour
    mode. Images in ``test`` are not looked at: their labels are for the final figure.

    Args:
        inventory: after :func:`cxr_edge_train.cleaning.duplicates.remove_duplicates`.
    """
    condition = f"state = '{KEPT}' AND split != 'test'"
    rows = inventory.connection.execute(
        f"SELECT {', '.join(_COLUMNS)} FROM files WHERE {condition} ORDER BY place"
    )
    order = np.random.default_rng(_SEED).permutation(inventory.count(condition))
    chosen = set(order[:MAX_IMAGES].tolist())
    table = pd.DataFrame.from_records(
        [row for place, row in enumerate(rows) if place in chosen], columns=list(_COLUMNS)
    )
    patients = patient_groups(table).to_numpy(object)
    positive = (table["label"] == "PNEUMONIA").to_numpy()
    fewest = min(len(np.unique(patients[positive == label])) for label in (True, False))
    if fewest < MIN_PATIENTS:
        words = (
            f"Not checked: a label has {fewest} patients, {MIN_PATIENTS} of each are needed to "
            "tell a shortcut from luck."
        )
        return Shortcuts("not_checked", LIMIT, None, {}, words)
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
    telling = [name for name, interval in by_feature.items() if interval.low > LIMIT]
    verdict: Literal["alarm", "none"] = "alarm" if telling or auc.low > LIMIT else "none"
    return Shortcuts(verdict, LIMIT, auc, by_feature, _in_words(auc, telling, verdict))


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
    """AUC of out-of-fold predictions; features ``[N, F]``, labels and patients ``[N]``."""
    tree = DecisionTreeClassifier(max_depth=4, min_samples_leaf=5, random_state=_SEED)
    predicted = cross_val_predict(tree, features, positive, cv=folds, method="predict_proba")[:, 1]

    ranking = Ranking(predicted, positive.astype(np.int64))
    drawn = patient_bootstrap(
        lambda weights: {"auc": ranking.areas(weights)[0]}, patients, seed=_SEED
    )
    return drawn["auc"]


def _in_words(auc: Interval, telling: list[str], verdict: str) -> str:
    together = f"Properties of the file alone tell the label with AUC {auc}"
    if verdict == "none":
        return f"{together}; up to {LIMIT} is no cause for alarm."
    words = f"{together}: a network may learn them instead of the lungs."
    if telling:
        words += f" Telling by themselves: {', '.join(telling)}."
    if telling == ["bytes"]:
        words += (
            " Files of one size and one quality differ in bytes by what they show, so this may be "
            "the films themselves."
        )
    else:
        words += " Bring all images to one size and one JPEG quality before training."
    return words
