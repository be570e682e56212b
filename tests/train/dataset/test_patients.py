import re

import pytest

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.dataset.patients import Identity, compile_patient_pattern, identify


@pytest.mark.parametrize(
    ("filename", "label", "patient", "kind"),
    [
        ("IM-0115-0001.jpeg", "NORMAL", "IM-0115", "normal"),
        ("IM-0543-0001-0002.jpeg", "NORMAL", "IM-0543", "normal"),
        ("NORMAL2-IM-0383-0001.jpeg", "NORMAL", "NORMAL2-IM-0383", "normal"),
        ("person12_bacteria_46.jpeg", "PNEUMONIA", "bacteria-12", "bacteria"),
        ("person12_virus_34.jpeg", "PNEUMONIA", "virus-12", "virus"),
        ("person561_virus_1102_2.jpeg", "PNEUMONIA", "virus-561", "virus"),
        ("scan7.jpeg", "PNEUMONIA", "", "unknown"),
        ("scan7.jpeg", "NORMAL", "", "normal"),
    ],
)
def test_kermany_names_tell_patient_and_kind(
    filename: str, label: str, patient: str, kind: str
) -> None:
    assert identify(filename, positive=label == "PNEUMONIA") == Identity(patient, kind)


def test_bacteria_and_virus_numbers_are_different_people() -> None:
    bacteria = identify("person12_bacteria_46.jpeg", positive=True).patient
    assert bacteria != identify("person12_virus_34.jpeg", positive=True).patient


@pytest.mark.parametrize(
    "pattern", [r"^(?P<patient>\d+)_", r"^(\d+)_", r"^\d+(?=_)", r"(?P<x>\d)?(?P<patient>0012)"]
)
def test_own_pattern_finds_the_patient(pattern: str) -> None:
    compiled = compile_patient_pattern(pattern)
    assert identify("0012_a.png", positive=True, pattern=compiled) == Identity(
        "0012", "unknown", by_pattern=True
    )


def test_name_the_pattern_does_not_match_is_unknown() -> None:
    assert identify("x.png", positive=False, pattern=re.compile(r"\d+")) == Identity("", "normal")


def test_broken_pattern_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="patient pattern"):
        compile_patient_pattern("(")
