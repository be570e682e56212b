from pathlib import Path

import pytest

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.cleaning.pseudonyms import Pseudonyms, read_patient_key

KEY = b"0123456789abcdef"


def test_numbers_are_in_order_of_first_appearance() -> None:
    names = Pseudonyms()
    assert [names.of(name) for name in ("Doe", "Roe", "Doe", "")] == [
        "dicom-1", "dicom-2", "dicom-1", "",
    ]  # fmt: skip


def test_one_key_gives_one_name_everywhere_and_another_key_another() -> None:
    one, again, other = Pseudonyms(KEY), Pseudonyms(KEY), Pseudonyms(KEY[::-1])
    again.of("somebody else first")
    assert one.of("Doe") == again.of("Doe")
    assert one.of("Doe") != other.of("Doe")
    assert "Doe" not in one.of("Doe")


def test_key_is_read_without_the_end_of_its_line(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY + b"\n")
    assert read_patient_key(tmp_path / "key") == KEY


def test_key_that_is_missing_or_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"key: cannot be read \(No such file"):
        read_patient_key(tmp_path / "key")
    (tmp_path / "key").write_bytes(KEY[1:])
    with pytest.raises(InvalidRequest, match="holds 15 bytes; a key has 16 or more"):
        read_patient_key(tmp_path / "key")
