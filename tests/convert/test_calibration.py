import pandas as pd
import pytest

from cxr_edge_convert.calibration import calibration_digest, choose_calibration_images
from cxr_edge_runtime.errors import InvalidRequest


def table(*, patients: int, images: int = 3, positives: int | None = None) -> pd.DataFrame:
    rows = [
        {
            "path": f"{label}-{patient}-{image}",
            "md5": f"{label}-{patient}-{image}",
            "label": label,
            "patient": f"{label}-{patient}",
            "split": split,
        }
        for label, count in (("NORMAL", patients), ("PNEUMONIA", positives or patients))
        for patient in range(count)
        for image in range(images)
        for split in (["validation"] if patient % 10 == 9 else ["train"])
    ]
    return pd.DataFrame(rows)


def test_classes_are_interleaved_and_alike() -> None:
    chosen = choose_calibration_images(table(patients=200), count=300, seed=0)
    assert len(chosen) == 300
    assert chosen["label"].tolist() == ["NORMAL", "PNEUMONIA"] * 150


def test_only_training_images_are_drawn() -> None:
    chosen = choose_calibration_images(table(patients=200), count=300, seed=0)
    assert set(chosen["split"]) == {"train"}


def test_no_patient_gives_a_second_image_before_all_gave_one() -> None:
    chosen = choose_calibration_images(table(patients=200), count=300, seed=0)
    assert chosen["patient"].is_unique
    more = choose_calibration_images(table(patients=120), count=300, seed=0)
    assert more["patient"].value_counts().max() == 2


def test_seed_decides_and_order_of_the_table_does_not() -> None:
    rows = table(patients=200)
    first = choose_calibration_images(rows, count=300, seed=0)
    again = choose_calibration_images(rows.sample(frac=1, random_state=9), count=300, seed=0)
    assert first["path"].tolist() == again["path"].tolist()
    other = choose_calibration_images(rows, count=300, seed=1)
    assert calibration_digest(first) != calibration_digest(other)


def test_digest_does_not_depend_on_the_order() -> None:
    chosen = choose_calibration_images(table(patients=200), count=300, seed=0)
    assert calibration_digest(chosen) == calibration_digest(chosen[::-1])


def test_fewer_than_200_asked_for_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="at least 200 images, not 199"):
        choose_calibration_images(table(patients=200), count=199, seed=0)


@pytest.mark.parametrize(
    "rows", [table(patients=10), table(patients=200).query("label == 'NORMAL'")]
)
def test_too_few_training_images_are_refused(rows: pd.DataFrame) -> None:
    with pytest.raises(InvalidRequest, match="at least 100 training images of each label"):
        choose_calibration_images(rows, count=300, seed=0)
