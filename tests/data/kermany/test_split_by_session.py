from types import ModuleType

import pandas as pd
import pytest

from cxr_edge_runtime.errors import DatasetError
from scripts import load_script

PATIENTS = ["IM-0499", "IM-0500", "IM-0599", "NORMAL2-IM-0679", "NORMAL2-IM-0680", "virus-49"]
SPLITS = ["train", "validation", "validation", "train", "validation", "validation"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("data/kermany/split_by_session.py")


def films(patients: list[str]) -> pd.DataFrame:
    paths = [f"{patient}.jpeg" for patient in patients]
    return pd.DataFrame({"path": paths, "patient": patients, "split": "train"})


def domains(patients: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"file": [f"{patient}.jpeg" for patient in patients], "look": "A"})


def test_whole_sessions_and_blocks_of_patients_are_validation(script: ModuleType) -> None:
    table = script.split_by_session(films(PATIENTS), domains(PATIENTS))
    assert list(table["split"]) == SPLITS
    assert set(table["look"]) == {"A"}
    blocks = [f"bacteria-{number}" for number in range(600)]
    chosen = script.split_by_session(films(blocks), domains(blocks))["split"] == "validation"
    assert list(chosen[chosen].index) == [*range(50), *range(300, 350)]


def test_test_films_stay_test_and_need_no_domain(script: ModuleType) -> None:
    table = films(["IM-0500", "IM-0501"])
    table.loc[1, ["split", "patient"]] = ["test", "unknown"]
    made = script.split_by_session(table, domains(["IM-0500"]))
    assert list(made["split"]) == ["validation", "test"]
    assert list(made["look"]) == ["A", ""]


def test_films_without_a_domain_or_a_number_are_refused(script: ModuleType) -> None:
    with pytest.raises(DatasetError, match=r"IM-0001\.jpeg: its acquisition domain is not known"):
        script.split_by_session(films(["IM-0001"]), domains(["IM-0002"]))
    with pytest.raises(DatasetError, match=r"anna\.jpeg: its patient has no number"):
        script.split_by_session(films(["anna"]), domains(["anna"]))
