from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_train.cleaning.clean import clean
from cxr_edge_train.dataset.drawing import VALIDATION_FOLDS
from cxr_edge_train.dataset.metadata import read_metadata, read_splits, write_metadata
from cxr_edge_train.dataset.splits import SplitCount, assign_splits, split


def metadata(*, patients: int, test_patients: int = 0, images: int = 2) -> pd.DataFrame:
    rows = [
        {
            "path": f"{split}/{kind}-{number}-{image}",
            "split": split,
            "label": "NORMAL" if kind == "normal" else "PNEUMONIA",
            "kind": kind,
            "patient": f"{kind}-{number}",
            "md5": f"{kind}-{number}-{image}",
        }
        for split, first, count in (("train", 0, patients), ("test", 10_000, test_patients))
        for kind in ("normal", "bacteria", "virus")
        for number in range(first, first + count)
        for image in range(images)
    ]
    return pd.DataFrame(rows)


def patients_by_split(table: pd.DataFrame) -> dict[str, set[str]]:
    return {split: set(rows["patient"]) for split, rows in table.groupby("split")}


@given(st.integers(12, 40), st.sampled_from([0, 2, 5]), st.integers(1, 4), st.integers(0, 1000))
@settings(max_examples=30)
def test_no_patient_is_in_two_splits(patients: int, tests: int, images: int, seed: int) -> None:
    table = metadata(patients=patients, test_patients=tests, images=images)
    assigned = assign_splits(table, seed=seed)
    sets = list(patients_by_split(assigned).values())
    assert sum(len(one) for one in sets) == len(set.union(*sets))
    assert len(assigned) == len(table)


def test_validation_is_one_fold_with_every_kind() -> None:
    assigned = assign_splits(metadata(patients=60), seed=0)
    validation = assigned[assigned["split"] == "validation"]
    assert len(validation) == len(assigned) // VALIDATION_FOLDS
    counts = validation["kind"].value_counts()
    assert counts.max() - counts.min() <= 4


def test_the_same_seed_draws_the_same_and_another_another() -> None:
    table = metadata(patients=30)
    first = assign_splits(table, seed=1)
    pd.testing.assert_frame_equal(first, assign_splits(table, seed=1))
    assert not first["split"].equals(assign_splits(table, seed=2)["split"])


def test_official_test_stays_test_and_val_joins_train() -> None:
    table = metadata(patients=12, test_patients=3)
    table.loc[table["patient"].isin(["normal-0", "virus-1"]), "split"] = "val"
    assigned = assign_splits(table, seed=0)
    assert set(assigned["split"]) == {"train", "validation", "test"}
    is_test = table["split"] == "test"
    assert (assigned.loc[is_test, "split"] == "test").all()


def test_train_images_of_a_test_patient_are_left_out() -> None:
    table = metadata(patients=13, test_patients=2)
    table.loc[table["patient"] == "normal-3", "patient"] = "normal-10000"
    assigned = assign_splits(table, seed=0)
    assert len(assigned) == len(table) - 2
    assert set(assigned.loc[assigned["patient"] == "normal-10000", "split"]) == {"test"}


def test_val_images_of_a_test_patient_are_left_out_too() -> None:
    table = metadata(patients=13, test_patients=2)
    table.loc[table["patient"] == "normal-3", ["patient", "split"]] = ["normal-10000", "val"]
    assert len(assign_splits(table, seed=0)) == len(table) - 2


@pytest.mark.parametrize("seed", range(5))
def test_validation_has_its_share_of_a_rare_kind(seed: int) -> None:
    table = metadata(patients=60)
    rare = table["patient"].str.fullmatch(r"virus-([0-9]|1[01])")
    table = table[(table["kind"] != "virus") | rare]
    assigned = assign_splits(table, seed=seed)
    counts = assigned.loc[assigned["split"] == "validation", "kind"].value_counts()
    assert counts.to_dict() == {"normal": 20, "bacteria": 20, "virus": 4}


def test_unknown_patients_are_a_patient_each() -> None:
    table = metadata(patients=12).assign(patient="")
    assert set(assign_splits(table, seed=0)["split"]) == {"train", "validation"}


def test_pattern_that_makes_everybody_one_patient_is_suspected() -> None:
    table = metadata(patients=12, test_patients=1).assign(patient="p")
    with pytest.raises(DatasetError, match="Was the patient pattern given to cxr-edge clean"):
        assign_splits(table, seed=0)


def test_metadata_of_one_label_says_which_is_missing() -> None:
    rows = metadata(patients=30)
    with pytest.raises(DatasetError, match="the metadata has no PNEUMONIA images"):
        assign_splits(rows[rows["label"] == "NORMAL"], seed=0)


def test_too_few_patients_are_named() -> None:
    with pytest.raises(DatasetError, match=r"NORMAL: 11 patients .*at least 12 are needed"):
        assign_splits(metadata(patients=11), seed=0)


@pytest.mark.parametrize("images", [0, 1])
def test_test_folder_that_cannot_be_measured_is_refused(images: int) -> None:
    table = metadata(patients=12, test_patients=2)
    surplus = table[(table["split"] == "test") & (table["label"] == "NORMAL")].index[images * 2 :]
    with pytest.raises(
        DatasetError, match=rf"test: {images} patients? of NORMAL, at least 2 .*remove it"
    ):
        assign_splits(table.drop(surplus), seed=0)


def test_validation_of_one_patient_is_refused() -> None:
    # 11 patients with one image and one with a hundred: that one may fill validation alone.
    table = metadata(patients=12, images=1)
    many = pd.concat([table[table["patient"] == "normal-0"]] * 100, ignore_index=True)
    many = many.assign(path=many["path"] + "-" + many.index.astype(str), md5=many.index.astype(str))
    table = pd.concat([table, many], ignore_index=True)
    refused = []
    for seed in range(8):
        try:
            assigned = assign_splits(table, seed=seed)
        except DatasetError as error:
            refused.append(str(error))
            continue
        known = assigned.groupby(["split", "label"])["patient"].nunique()
        assert (known >= 2).all()
    assert refused
    assert all("1 patient of NORMAL" in error and "another seed" in error for error in refused)


def test_no_patient_of_the_real_set_is_in_two_splits(shared: Path, tmp_path: Path) -> None:
    clean(shared / "data" / "chest_xray", tmp_path / "m.csv")
    table = read_metadata(tmp_path / "m.csv")
    assigned = assign_splits(table, seed=0)
    assert len(table) == 5_529 - 32  # 32 surplus files of 30 groups of identical images
    assert len(assigned) == len(table)
    sets = patients_by_split(assigned)
    assert sets["train"].isdisjoint(sets["validation"] | sets["test"])
    assert sets["validation"].isdisjoint(sets["test"])
    assert (assigned["patient"] != "").all()


def written(folder: Path, table: pd.DataFrame) -> str:
    """A metadata file of a table that has no image files."""
    facts = {"width": 9, "height": 9, "mode": "L", "bytes": 9, "jpeg_step": None}
    columns = ["path", "split", "label", "kind", "patient", "md5", *facts]
    write_metadata(folder / "m.csv", table.assign(**facts)[columns].itertuples(index=False))
    return str(folder / "m.csv")


def test_split_writes_the_splits_and_counts_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = metadata(patients=12, test_patients=2)
    path = written(tmp_path, table)
    result = split(path, str(tmp_path / "s.csv"), seed=3)
    assert result.splits == tmp_path / "s.csv"
    assert (result.left_out, result.warnings) == (0, ())
    assert result.counts[0] == SplitCount("test", "NORMAL", 4)
    assert [count.split for count in result.counts[::2]] == ["test", "train", "validation"]
    assert sum(count.images for count in result.counts) == len(table)
    assigned = assign_splits(read_metadata(Path(path)), seed=3)
    found = read_splits(result.splits, read_metadata(Path(path)))
    assert dict(zip(found["path"], found["split"])) == dict(
        zip(assigned["path"], assigned["split"])
    )
    assert capfd.readouterr() == ("", "")


def test_split_warns_of_training_images_that_it_leaves_out(tmp_path: Path) -> None:
    table = metadata(patients=13, test_patients=2)
    table.loc[table["patient"] == "normal-3", "patient"] = "normal-10000"
    result = split(written(tmp_path, table), tmp_path / "s.csv")
    assert result.left_out == 2
    assert result.warnings == (
        "2 training images left out, because their patients have test images too",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((None,), "metadata must be a path"),
        (("m.csv", 5), "output must be a path"),
        (("m.csv", "."), "is a folder; name the file"),
        (("m.csv", "m.csv"), "is the metadata itself"),
        (("m.csv", "s.csv", -1), "seed must be a whole number from 0 to 4294967295, not -1"),
        (("m.csv", "s.csv", 2**32), "seed must be an integer"),
        (("m.csv", "s.csv", 0.0), "seed must be an integer"),
        (("m.csv", "s.csv", True), "seed must be an integer"),
        (("m.csv", "s.csv", None), "seed must be an integer"),
    ],
)
def test_wrong_argument_of_split_is_refused(
    arguments: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, metadata(patients=12))
    with pytest.raises(InvalidRequest, match=said):
        split(*arguments[:2], **dict(zip(["seed"], arguments[2:])))
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"]


def test_largest_seed_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path, metadata(patients=12))
    assert split(path, tmp_path / "s.csv", seed=2**32 - 1).left_out == 0


def test_missing_metadata_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"absent\.csv: no such file"):
        split(str(tmp_path / "absent.csv"), tmp_path / "s.csv")
    with pytest.raises(DatasetError, match="cannot be read as CSV"):
        split(tmp_path, tmp_path / "s.csv")
