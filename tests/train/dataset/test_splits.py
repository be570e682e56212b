import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_train.cleaning.clean import clean
from cxr_edge_train.dataset.drawing import VALIDATION_FOLDS
from cxr_edge_train.dataset.metadata import (
    left_out_path,
    read_metadata,
    read_splits,
    write_metadata,
)
from cxr_edge_train.dataset.near_duplicates import NearDuplicate
from cxr_edge_train.dataset.separation import separate
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


def pair(first: str, second: str) -> NearDuplicate:
    return NearDuplicate(first, second, 0.99, False, False)


def written(folder: Path, table: pd.DataFrame, *near: NearDuplicate) -> str:
    """A metadata file of a table that has no image files, and the pairs that cleaning found."""
    pairs = {"near_duplicates": list(map(asdict, near))}
    (folder / "m.report.json").write_text(json.dumps(pairs))
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
    assert (result.left_out_images, result.joined, result.unknown_patients) == ((), (), 0)
    assert result.left_out_list == tmp_path / "s.left_out.csv"
    assert result.left_out_list.read_text() == "path,reason\n"
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
        "2 training images left out, because test has images of the same patient",
    )
    assert result.left_out_images == (
        ("train/normal-3-0", "patient normal-10000 has test images too"),
        ("train/normal-3-1", "patient normal-10000 has test images too"),
    )
    assert read_left_out(tmp_path / "s.csv") == list(result.left_out_images)


def read_left_out(splits: Path) -> list[tuple[str, str]]:
    table = pd.read_csv(left_out_path(splits), keep_default_na=False)
    assert list(table.columns) == ["path", "reason"]
    return list(table.itertuples(index=False, name=None))


@pytest.mark.parametrize("seed", range(4))
def test_near_duplicates_are_on_one_side_with_their_patients(tmp_path: Path, seed: int) -> None:
    table = metadata(patients=20)
    pairs = [pair(f"train/virus-{n}-0", f"train/virus-{n + 1}-1") for n in (0, 1, 2, 7)]
    path = written(tmp_path, table, *pairs, pair("train/virus-9-0", "train/virus-9-1"))
    result = split(path, tmp_path / "s.csv", seed=seed)
    assert result.joined == tuple(pairs)
    assert (result.left_out, result.warnings) == (0, ())
    found = read_splits(result.splits, read_metadata(Path(path))).set_index("patient")["split"]
    assert found[[f"virus-{number}" for number in range(4)]].nunique() == 1
    assert found[["virus-7", "virus-8"]].nunique() == 1


def test_near_duplicate_of_test_leaves_with_all_that_its_patient_has(tmp_path: Path) -> None:
    table = metadata(patients=14, test_patients=2)
    pairs = [
        pair("train/normal-3-1", "test/normal-10000-0"),
        pair("train/normal-4-0", "train/normal-3-0"),
    ]
    path = written(tmp_path, table, *pairs)
    result = split(path, tmp_path / "s.csv")
    joined = "near-duplicates link its patient to a test patient"
    assert result.left_out_images == (
        ("train/normal-3-0", joined),
        ("train/normal-3-1", "near-duplicate of the test image test/normal-10000-0"),
        ("train/normal-4-0", joined),
        ("train/normal-4-1", joined),
    )
    assert result.warnings == (
        "1 training image left out, because of a near-duplicate in test",
        "3 training images left out, because near-duplicates link a patient to a test patient",
    )
    assert (result.left_out, result.joined) == (4, ())
    found = read_splits(result.splits, read_metadata(Path(path)))
    assert (found["split"] == "test").sum() == (table["split"] == "test").sum()


def test_near_duplicates_under_two_labels_leave_and_both_are_listed(tmp_path: Path) -> None:
    table = metadata(patients=14, test_patients=2)
    pairs = [
        pair("train/normal-3-0", "train/virus-5-1"),
        pair("test/normal-10000-0", "test/virus-10000-0"),
    ]
    result = split(written(tmp_path, table, *pairs), tmp_path / "s.csv")
    assert result.left_out_images == (
        ("train/normal-3-0", "near-duplicate of train/virus-5-1 under the other label"),
        ("train/virus-5-1", "near-duplicate of train/normal-3-0 under the other label"),
    )
    assert result.warnings == (
        "2 images left out, because of a near-duplicate under the other label",
    )
    assert read_left_out(tmp_path / "s.csv") == list(result.left_out_images)


def test_without_a_cleaning_report_split_says_that_near_duplicates_are_unknown(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, metadata(patients=12))
    before = split(path, tmp_path / "s.csv").splits.read_bytes()
    (tmp_path / "m.report.json").unlink()
    result = split(path, tmp_path / "s.csv")
    [warning] = result.warnings
    assert "near-duplicates are unknown, since there is no" in warning
    assert result.splits.read_bytes() == before


def test_damaged_cleaning_report_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, metadata(patients=12))
    (tmp_path / "m.report.json").write_text('{"format": 1}')
    with pytest.raises(DatasetError, match=r"near-duplicates cannot be read .* clean"):
        split(path, tmp_path / "s.csv")


def test_unknown_patients_are_warned_of(tmp_path: Path) -> None:
    table = metadata(patients=20)
    table.loc[:2, "patient"] = ""
    result = split(written(tmp_path, table), tmp_path / "s.csv")
    assert result.unknown_patients == 3
    [warning] = result.warnings
    assert warning.startswith("the patient of 3 of 120 images is unknown; each of them counts")


def sited(table: pd.DataFrame, sites: int) -> pd.DataFrame:
    """The table with a site of each patient; one of the sites has half of them."""
    number = table["patient"].str.rpartition("-")[2].astype(int)
    site = (number // 2 % (sites - 1) + 1).where(number % 2 == 0, 0)
    return table.assign(site=site.map("site {}".format))


def with_column(path: str, table: pd.DataFrame, column: str) -> str:
    metadata_file = pd.read_csv(path, keep_default_na=False, dtype=str)
    metadata_file[column] = table[column].to_numpy()
    metadata_file.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sites", [3, 5, 12])
def test_images_of_one_site_are_on_one_side(tmp_path: Path, sites: int, seed: int) -> None:
    table = sited(metadata(patients=60), sites)
    path = with_column(written(tmp_path, table), table, "site")
    result = split(path, tmp_path / "s.csv", seed=seed, group_by="site")
    found = read_splits(result.splits, read_metadata(Path(path)))
    assert (found.groupby("site")["split"].nunique() == 1).all()
    assert found["site"].nunique() == sites
    share = (found["split"] == "validation").mean()
    assert 0.08 < share < 0.27
    assert result.left_out == 0


def test_too_few_sites_of_a_label_are_named() -> None:
    table = metadata(patients=20).assign(site="A")
    table.loc[table["kind"] == "virus", "site"] = "B"
    with pytest.raises(DatasetError, match=r"NORMAL: 1 group by site .* at least 2 are needed"):
        assign_splits(table, seed=0, group_by="site")


def test_value_of_a_column_joins_as_it_is_written_and_an_empty_one_joins_nothing() -> None:
    table = metadata(patients=4, images=1).assign(day="")
    table.loc[[0, 1, 2], "day"] = ["1", "01", " 1 "]
    groups = separate(table, group_by="day").groups
    assert groups[0] == groups[2]
    assert groups.nunique() == len(table) - 1


def test_column_is_read_as_it_is_written(tmp_path: Path) -> None:
    table = metadata(patients=24, images=1)
    table["day"] = table["patient"].str.rpartition("-")[2].astype(int).map("{:02}".format)
    table.loc[table["day"] == "07", "day"] = "7"
    table.loc[table["patient"] == "normal-7", "day"] = "07"
    path = with_column(written(tmp_path, table), table, "day")
    separated = separate(read_metadata(Path(path)), group_by="day")
    assert separated.groups.nunique() == 25


def test_column_joins_patients_and_near_duplicates() -> None:
    table = metadata(patients=20).assign(day="")
    table.loc[table["path"].isin(["train/virus-1-0", "train/virus-2-0"]), "day"] = "monday"
    near = [pair("train/virus-2-1", "train/virus-3-0")]
    groups = separate(table, near_duplicates=near, group_by="day").groups
    of_patient = groups.groupby(table["patient"]).first()
    assert of_patient[["virus-1", "virus-2", "virus-3"]].nunique() == 1
    assert groups.nunique() == 60 - 2


def test_training_images_of_a_day_of_test_are_left_out(tmp_path: Path) -> None:
    table = metadata(patients=20, test_patients=2).assign(day="")
    table.loc[table["path"] == "train/virus-1-0", "day"] = "monday"
    table.loc[table["path"] == "test/normal-10000-0", "day"] = "monday"
    path = with_column(written(tmp_path, table), table, "day")
    result = split(path, tmp_path / "s.csv", group_by="day")
    assert result.left_out_images == (
        ("train/virus-1-0", "test has images of day monday too"),
        ("train/virus-1-1", "near-duplicates or day link its patient to a test patient"),
    )


def test_site_that_test_has_everywhere_leaves_nothing_to_train_on() -> None:
    table = metadata(patients=20, test_patients=2).assign(site="A")
    with pytest.raises(DatasetError, match="all others share a site with test images"):
        assign_splits(table, seed=0, group_by="site")


def test_column_and_near_duplicates_give_the_same_bytes_again(tmp_path: Path) -> None:
    table = sited(metadata(patients=30), 8)
    near = (pair("train/virus-1-0", "train/normal-2-0"), pair("train/virus-4-0", "train/virus-9-0"))
    path = with_column(written(tmp_path, table, *near), table, "site")
    once, again = (
        split(path, tmp_path / name, seed=5, group_by="site").splits.read_bytes()
        for name in ("a.csv", "b.csv")
    )
    assert once == again


def test_list_beside_the_splits_replaces_none_of_cleaning(tmp_path: Path) -> None:
    path = written(tmp_path, metadata(patients=12))
    with pytest.raises(InvalidRequest, match="would overwrite cleaning"):
        split(path, tmp_path / "m.txt")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((None,), "metadata must be a path"),
        (("m.csv", 5), "output must be a path"),
        (("m.csv", "."), "is a folder; name the file"),
        (("m.csv", "m.csv"), "is not a splits file of cxr-edge split"),
        (("m.csv", "s.csv", -1), "seed must be a whole number from 0 to 4294967295, not -1"),
        (("m.csv", "s.csv", 2**32), "seed must be a whole number"),
        (("m.csv", "s.csv", 0.0), "seed must be a whole number"),
        (("m.csv", "s.csv", True), "seed must be a whole number"),
        (("m.csv", "s.csv", None), "seed must be a whole number"),
        (("m.csv", "s.csv", 0, 5), "group_by must be the name of a column, not 5"),
        (("m.csv", "s.csv", 0, ""), "no column '' to group by; it has path, split, label, kind"),
    ],
)
def test_wrong_argument_of_split_is_refused(
    arguments: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, metadata(patients=12))
    with pytest.raises(InvalidRequest, match=said):
        split(*arguments[:2], **dict(zip(["seed", "group_by"], arguments[2:])))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.csv", "m.report.json"]


def test_largest_seed_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path, metadata(patients=12))
    assert split(path, tmp_path / "s.csv", seed=2**32 - 1).left_out == 0


def test_missing_metadata_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"absent\.csv: no such file"):
        split(str(tmp_path / "absent.csv"), tmp_path / "s.csv")
    with pytest.raises(DatasetError, match="is a folder; name the file that cxr-edge clean makes"):
        split(tmp_path, tmp_path / "s.csv")


def test_splits_with_a_column_of_the_users_own_are_not_replaced(tmp_path: Path) -> None:
    path = written(tmp_path, metadata(patients=12))
    first = split(path, tmp_path / "s.csv")
    header, _, rest = first.splits.read_text().partition("\n")
    (tmp_path / "s.csv").write_text(f"{header},look\n{rest}")
    with pytest.raises(InvalidRequest, match="is not a splits file of cxr-edge split"):
        split(path, tmp_path / "s.csv")


def test_column_without_any_value_is_refused() -> None:
    table = metadata(patients=20).assign(site="  ")
    with pytest.raises(InvalidRequest, match="column 'site' has no value in any row"):
        assign_splits(table, seed=0, group_by="site")


def test_images_without_a_value_are_counted(tmp_path: Path) -> None:
    table = sited(metadata(patients=60), 5)
    table.loc[table.index[[3, 40, 50]], "site"] = ["", " ", ""]
    path = with_column(written(tmp_path, table), table, "site")
    [warning] = split(path, tmp_path / "s.csv", group_by="site").warnings
    assert warning == (
        "no site is given for 3 of 360 images; each is grouped by its patient alone, so images of "
        "one site may fall on both sides of the split"
    )


def test_what_leaves_nothing_to_train_on_is_named() -> None:
    table = metadata(patients=12, test_patients=1).assign(site="A")
    with pytest.raises(DatasetError) as caught:
        assign_splits(table, seed=0, group_by="site")
    assert "pattern" not in str(caught.value)
    assert "all others share a site with test images; group by another column" in str(caught.value)
    # Here the patients leave nothing, whatever the column says.
    alone = table.assign(patient="p", site=table["path"])
    with pytest.raises(DatasetError, match="share a patient or a near-duplicate with test"):
        assign_splits(alone, seed=0, group_by="site")


def test_one_image_is_singular(tmp_path: Path) -> None:
    table = metadata(patients=13, test_patients=2)
    table.loc[table["path"] == "train/normal-3-0", "patient"] = "normal-10000"
    [warning] = split(written(tmp_path, table), tmp_path / "s.csv").warnings
    assert warning == "1 training image left out, because test has images of the same patient"
