import csv
import io
from pathlib import Path

import pytest

from cxr_edge.writers.csv_file import CSV_COLUMNS, CsvWriter
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.errors import UnreadableImage
from cxr_edge_runtime.gate import Verdict


@pytest.fixture
def bundle(golden_bundle: Path) -> Bundle:
    return Bundle.load(golden_bundle)


def written(
    bundle: Bundle,
    name: str,
    label: str | None,
    *,
    borderline: bool | None = None,
    numbers: tuple[float, float] = (1 / 3, 0.4),
) -> dict[str, str]:
    file = io.StringIO()
    writer = CsvWriter(file, bundle, Path("t.csv"))
    prediction = Prediction(
        label=label,
        probability=None if label is None else numbers[0],
        threshold=numbers[1],
        prevalence=None,
        logit=0.0,
        gate=Verdict("rejected", ("first", "second")),
        activation_map=None,
        warnings=("low contrast",),
        timings_ms={"decode": 1.0, "preprocess": 2.0, "invoke": 3.0},
        borderline=borderline,
        image_sha256="a" * 64,
    )
    writer.write(Path(name), prediction)
    [row] = csv.DictReader(io.StringIO(file.getvalue()))
    assert tuple(row) == CSV_COLUMNS
    return row


def test_row_says_all_that_the_table_says(bundle: Bundle) -> None:
    row = written(bundle, "a.png", "NORMAL")
    assert row["probability"] == "0.333333"
    assert row["threshold"] == "0.400000"
    assert (row["gate"], row["reasons"]) == ("rejected", "first; second")
    assert row["warnings"] == "low contrast"
    assert row["bundle"] == bundle.digest
    assert row["notice"] == "Research use only. Not a medical device."


def test_numbers_show_which_is_larger(bundle: Bundle) -> None:
    row = written(bundle, "a.png", "NORMAL", numbers=(0.99997799, 0.99997801))
    assert (row["probability"], row["threshold"]) == ("0.99997799", "0.99997801")


@pytest.mark.parametrize(("borderline", "text"), [(True, "true"), (False, "false"), (None, "")])
def test_borderline_is_a_word(bundle: Bundle, borderline: bool | None, text: str) -> None:
    row = written(bundle, "a.png", "NORMAL", borderline=borderline)
    assert row["borderline"] == text
    assert (row["logit"], row["distance"], row["image_sha256"]) == ("0.000000", "", "a" * 64)


def test_rejected_image_has_no_label(bundle: Bundle) -> None:
    row = written(bundle, "a.png", None)
    assert (row["label"], row["probability"]) == ("", "")


@pytest.mark.parametrize("name", ['quote", comma.png', "line\nbreak.png", "é.png"])
def test_names_come_back_as_they_were(bundle: Bundle, name: str) -> None:
    assert written(bundle, name, "NORMAL")["file"] == name


@pytest.mark.parametrize("sign", list("=+-@\n＝＠"))
def test_name_that_a_spreadsheet_would_run_is_a_path_all_the_same(
    bundle: Bundle, sign: str
) -> None:
    name = f"{sign}cmd|' C calc'!A0.png"
    assert written(bundle, name, "NORMAL")["file"] == f"./{name}"
    assert written(bundle, f"films/{name}", "NORMAL")["file"] == f"films/{name}"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[31m.png", "\\x1b[31m.png"),
        ("a\x9b2J\x7f.png", "a\\x9b2J\\x7f.png"),
        ("\t=", "./\\x09="),
    ],
)
def test_name_that_a_terminal_would_obey_is_shown(bundle: Bundle, name: str, shown: str) -> None:
    assert written(bundle, name, "NORMAL")["file"] == shown


def test_message_that_begins_with_a_name_is_no_formula(bundle: Bundle) -> None:
    file = io.StringIO()
    CsvWriter(file, bundle, Path("t.csv")).write(
        Path("=1.png"), UnreadableImage("=1.png: damaged \x1b")
    )
    [row] = csv.DictReader(io.StringIO(file.getvalue()))
    assert (row["file"], row["error"][:18]) == ("./=1.png", "'=1.png: damaged \\")


def test_bytes_that_are_not_utf8_become_escapes(bundle: Bundle) -> None:
    assert written(bundle, "film \udcff.png", "NORMAL")["file"] == "film \\xff.png"


def test_error_has_its_own_column(bundle: Bundle) -> None:
    file = io.StringIO()
    CsvWriter(file, bundle, Path("t.csv")).write(
        Path("a.png"), UnreadableImage("a.png: damaged \udcff")
    )
    [row] = csv.DictReader(io.StringIO(file.getvalue()))
    assert row["error"].startswith("a.png: damaged ")
    assert row["label"] == ""


def test_full_disk_does_not_stop_the_others_and_is_said_at_the_end(bundle: Bundle) -> None:
    class _Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    writer = CsvWriter(_Full(), bundle, Path("t.csv"))
    for name in ("a.png", "b.png"):
        writer.write(Path(name), UnreadableImage(f"{name}: damaged"))
    with pytest.raises(OSError, match=r"No space left on device: 't\.csv'"):
        writer.close()
