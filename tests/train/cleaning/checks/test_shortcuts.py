import numpy as np
import pytest

from cxr_edge_train.cleaning.checks import shortcuts
from cxr_edge_train.cleaning.checks.duplicates import leave_out_duplicates
from cxr_edge_train.cleaning.checks.shortcuts import FEATURES, LIMIT, Shortcuts, find_shortcuts
from cxr_edge_train.cleaning.inventory import Inventory
from cxr_edge_train.cleaning.scanning import ScannedFile
from cxr_edge_train.dataset.class_names import KERMANY
from synthetic import scanned_file


def films(
    *, patients: int = 40, split: str = "train", telling: str = "", seed: int = 0
) -> list[ScannedFile]:
    """Two films a patient with random properties, of which one may tell the label."""
    random = np.random.default_rng(seed)
    made = []
    for label in KERMANY:
        for number in range(2 * patients):
            properties = {
                "size": (int(random.integers(900, 2000)), int(random.integers(900, 2000))),
                "n_bytes": int(random.integers(10_000, 900_000)),
                "mode": str(random.choice(["L", "RGB"])),
                "jpeg_step": float(random.integers(2, 30)),
            }
            if telling == "format":
                properties["jpeg_step"] = None if label == "NORMAL" else 5.0
            elif telling == "mode":
                properties["mode"] = "L" if label == "NORMAL" else "RGB"
            elif telling == "n_bytes":
                properties["n_bytes"] += 800_000 * (label == "NORMAL")
            elif telling == "together":
                first, second, third = (random.random(3) < 0.7) == (label == "NORMAL")
                properties["mode"] = "L" if first else "RGB"
                properties["jpeg_step"] = 5.0 if second else None
                properties["n_bytes"] = 10_000 if third else 900_000
            name = f"{split}/{label}{number}"
            patient = f"{label}{number // 2}"
            made.append(scanned_file(name, name, label=label, patient=patient, **properties))
    return made


def checked(files: list[ScannedFile]) -> Shortcuts:
    with Inventory() as inventory:
        inventory.add(files)
        leave_out_duplicates(inventory)
        return find_shortcuts(inventory)


@pytest.mark.parametrize("seed", range(4))
def test_innocuous_set_raises_no_alarm(seed: int) -> None:
    found = checked(films(seed=seed))
    assert found.verdict == "none"
    assert tuple(found.by_feature) == tuple(FEATURES)
    assert found.auc is not None
    assert found.auc.n == 160
    assert found.limit == LIMIT


@pytest.mark.parametrize(
    ("telling", "feature", "said"),
    [
        ("format", "jpeg_step", "Each of these does so on its own: JPEG quantisation step. Bring"),
        ("mode", "mode", "Each of these does so on its own: colour mode. Bring all images to one"),
        ("n_bytes", "bytes", "File size alone predicts the label (AUC 0."),
    ],
)
def test_property_that_predicts_the_label_raises_the_alarm(
    telling: str, feature: str, said: str
) -> None:
    found = checked(films(telling=telling))
    assert found.verdict == "alarm"
    assert found.by_feature[feature].low > LIMIT
    assert said in found.words
    assert ("may be real anatomy" in found.words) == (feature == "bytes")


def test_properties_that_predict_the_label_only_together_raise_the_alarm() -> None:
    found = checked(films(telling="together", patients=80))
    assert found.verdict == "alarm"
    assert all(auc.low < LIMIT for auc in found.by_feature.values())
    assert "a network may learn them instead of the lungs. Bring all images" in found.words


def test_images_in_test_are_not_looked_at() -> None:
    found = checked([*films(), *films(split="test", telling="format")])
    assert found.verdict == "none"
    assert found.auc is not None
    assert found.auc.n == 160


def test_surplus_copies_are_not_looked_at() -> None:
    copies = [
        scanned_file(f"train/copy{number}", f"train/{label}{number}", label=label)
        for label in KERMANY
        for number in range(9)
    ]
    found = checked([*films(), *copies])
    assert found.auc is not None
    assert found.auc.n == 160


def test_few_patients_are_not_judged() -> None:
    found = checked(films(patients=19, telling="format"))
    assert (found.verdict, found.auc, found.by_feature) == ("not_checked", None, {})
    assert "a label has 19 patients, 20 of each are needed" in found.words


def test_large_sets_are_judged_by_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcuts, "MAX_IMAGES", 120)
    found = checked(films(telling="format"))
    assert found.auc is not None
    assert (found.verdict, found.auc.n) == ("alarm", 120)


def test_same_films_give_the_same_figures() -> None:
    assert checked(films()) == checked(films())
