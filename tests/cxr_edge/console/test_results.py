import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cxr_edge.console.results import JsonWriter, TableWriter, counts_line
from cxr_edge.writers.classified_files import Counts
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.errors import UnreadableImage
from cxr_edge_runtime.gate import Verdict


@pytest.fixture
def bundle(golden_bundle: Path) -> Bundle:
    return Bundle.load(golden_bundle)


@pytest.fixture
def prediction() -> Callable[..., Prediction]:
    def make(label: str | None = "NORMAL", verdict: str = "accepted", *why: str) -> Prediction:
        return Prediction(
            label=label,
            probability=None if label is None else 0.25,
            threshold=0.4,
            prevalence=None,
            logit=-1.0,
            gate=Verdict(verdict, why),
            activation_map=None,
            warnings=("low contrast",) if why else (),
            timings_ms={"decode": 1.0, "preprocess": 2.0, "invoke": 3.0},
        )

    return make


def test_notice_is_printed_once_and_only_after_an_answer(
    bundle: Bundle, prediction: Callable[..., Prediction], capsys: pytest.CaptureFixture[str]
) -> None:
    writer = TableWriter(bundle)
    writer.write(Path("broken.png"), UnreadableImage("broken.png: damaged"))
    writer.close()
    assert capsys.readouterr() == ("", "cxr-edge: broken.png: damaged\n")
    for name in ("a.png", "b.png"):
        writer.write(Path(name), prediction())
    writer.close()
    out = capsys.readouterr().out
    assert out.count("Research use only") == 1
    assert out.count("probability  threshold") == 1


def test_words_of_gate_and_warnings_are_notes_below_the_row(
    bundle: Bundle, prediction: Callable[..., Prediction], capsys: pytest.CaptureFixture[str]
) -> None:
    made = replace(prediction(None, "rejected", "in colour", "blank"), borderline=True)
    TableWriter(bundle).write(Path("a.png"), made)
    out, err = capsys.readouterr()
    _, row, *notes = out.splitlines()
    assert row.split() == ["–", "–", "0.400", "rejected", "a.png"]
    assert notes == [
        "  ↳ in colour",
        "  ↳ blank",
        "  ↳ low contrast",
        "  ↳ borderline: a change of one grey level could change the answer",
    ]
    assert err == ""


def test_last_line_counts_what_became_of_the_images_and_says_what_was_written(
    prediction: Callable[..., Prediction],
) -> None:
    counts = Counts({"NORMAL": 0, "PNEUMONIA": 0}, failed=1)
    for made in (
        prediction(),
        prediction("PNEUMONIA", "suspicious", "blurred"),
        prediction(None, "rejected", "in colour"),
    ):
        counts.add(made)
    assert counts_line(counts, 0.31, (Path("a.csv"), None, Path("maps\n"))) == (
        "4 images in 0.3 s: 1 NORMAL, 1 PNEUMONIA, 1 suspicious, 1 rejected, 1 failed"
        " · a.csv · maps?"
    )
    counts.unwritten = 2
    assert counts_line(counts, 0.31, ()).endswith(", 1 failed, 2 with an output missing")


def test_images_that_no_gate_checked_are_not_said_to_be_accepted(
    prediction: Callable[..., Prediction],
) -> None:
    counts = Counts({"NORMAL": 0, "PNEUMONIA": 0})
    counts.add(prediction("NORMAL", "not_checked"))
    assert counts_line(counts, 90, ()) == (
        "1 image in 1 min 30 s: 1 NORMAL, 0 PNEUMONIA, 1 not checked, 0 failed"
    )


def test_names_cannot_play_with_the_terminal(
    bundle: Bundle, prediction: Callable[..., Prediction], capsys: pytest.CaptureFixture[str]
) -> None:
    TableWriter(bundle).write(Path("\x1b[2Jclear\nNORMAL \udcff.png"), prediction("PNEUMONIA"))
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 2
    assert "\x1b" not in out


def test_probability_of_nothing_is_no_missing_one(
    bundle: Bundle, prediction: Callable[..., Prediction], capsys: pytest.CaptureFixture[str]
) -> None:
    JsonWriter(bundle).write(Path("a.png"), replace(prediction(), probability=0.0))
    assert json.loads(capsys.readouterr().out)["probability"] == 0.0


@pytest.mark.parametrize(
    ("probability", "threshold", "shown"),
    [
        (0.25, 0.4, ["0.250", "0.400"]),
        (0.4, 0.4, ["0.400", "0.400"]),
        (0.00002, 0.0003, ["0.0000", "0.0003"]),
        (0.00031, 0.00032, ["0.00031", "0.00032"]),
        (0.1, math.nextafter(0.1, 1), ["0.10000000000000001", "0.10000000000000002"]),
        (math.nextafter(1e-7, -1), 1e-7, None),
    ],
)
def test_probability_and_threshold_are_told_apart(
    bundle: Bundle,
    prediction: Callable[..., Prediction],
    capsys: pytest.CaptureFixture[str],
    probability: float,
    threshold: float,
    shown: list[str] | None,
) -> None:
    made = replace(prediction(), probability=probability, threshold=threshold)
    TableWriter(bundle).write(Path("a.png"), made)
    found = capsys.readouterr().out.splitlines()[1].split()[1:3]
    assert found == shown if shown else found[0] < found[1]
