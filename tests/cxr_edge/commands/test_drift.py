import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.monitoring.prediction_log import LoggedFilm, PredictionLog
from cxr_edge_runtime.bundle.reference import VerifiedPredictions

NOTICE = "Research use only. Not a medical device."
Films = Callable[..., Path]


@pytest.fixture
def log(tmp_path: Path) -> Films:
    """Add films to a log that answer as on validation, or with ``moved`` distances."""
    bundle = load_bundle("tiny")
    verified = VerifiedPredictions.of_bundle(bundle)
    random = np.random.default_rng(0)
    written = 0

    def add(
        count: int = 400, *, moved: float = 0.0, share: float = 0.2, day: str = "2026-05-01",
        rejected: int = 0,
    ) -> Path:  # fmt: skip
        nonlocal written
        mixed = verified.mixed(share)
        films = []
        for place, (probability, distance) in enumerate(
            zip(random.choice(mixed.probabilities, count), random.choice(mixed.distances, count))
        ):
            gate = "rejected" if place < rejected else "accepted"
            films.append(
                LoggedFilm(
                    f"{written + place:064x}", bundle.digest, gate, float(distance) + moved,
                    float(probability), f"{day}T12:00:00Z",
                )
            )  # fmt: skip
        written += count
        path = tmp_path / "log.db"
        opened = PredictionLog(path)
        opened.append(films)
        opened.close()
        return path

    return add


def test_films_like_those_of_verification_are_no_drift_whatever_their_share(
    cxr_edge: Any, log: Films
) -> None:
    outcome = cxr_edge("drift", log(share=0.1), "--bundle", "tiny")
    assert (outcome.code, outcome.err) == (0, "")
    verdict, *lines = outcome.out.splitlines()
    assert verdict == "OK: no limit is exceeded"
    assert re.fullmatch(
        "400 films of the log, compared with a mixture of verification films "
        r"\(equivalent to [0-9]{3} films\)",
        lines[0],
    )
    assert lines[1].split() == ["PSI", "KS"]
    assert [line.split()[0] for line in lines[2:5]] == ["probability", "gate", "rejected"]
    assert "of the films showed PNEUMONIA, which fits best; at verification 80% did" in lines[5]
    assert lines[6].startswith(f"{NOTICE} Model: tiny ")


def test_films_that_lie_elsewhere_are_drift_and_exit_4(cxr_edge: Any, log: Films) -> None:
    outcome = cxr_edge("drift", log(moved=8), "--bundle", "tiny")
    assert outcome.code == 4
    assert "gate distance: PSI" in outcome.err
    assert outcome.err.count("\n") == 1
    assert NOTICE in outcome.out


def test_films_that_the_gate_rejects_are_drift(cxr_edge: Any, log: Films) -> None:
    path = log(rejected=40)
    outcome = cxr_edge("drift", path, "--bundle", "tiny")
    assert outcome.code == 4
    assert "rejected: 10.0% of the films, limit 5.0%" in outcome.err
    assert cxr_edge("drift", path, "--bundle", "tiny", "--max-rejected", "0.1").code == 0


def test_limits_are_the_users(cxr_edge: Any, log: Films) -> None:
    path = log(moved=8)
    loose = ["--max-psi", "99", "--max-ks", "1"]
    assert cxr_edge("drift", path, "--bundle", "tiny", *loose).code == 0
    strict = cxr_edge("drift", log(), "--bundle", "tiny", "--max-psi", "0")
    assert "probability: PSI" in strict.err


def test_json_has_all_that_the_table_has(cxr_edge: Any, log: Films) -> None:
    outcome = cxr_edge("drift", log(moved=8), "--bundle", "tiny", "--json")
    found = json.loads(outcome.out)
    assert outcome.code == 4
    assert found["films"] == 400
    assert found["distance"]["psi"] > 0.25
    assert found["positives"]["verified"] == pytest.approx(0.804, abs=0.001)
    assert found["missed"]
    assert found["notice"] == NOTICE


def test_figure_is_drawn_where_asked_for(cxr_edge: Any, log: Films, tmp_path: Path) -> None:
    figure = tmp_path / "drift.png"
    assert cxr_edge("drift", log(moved=8), "--bundle", "tiny", "-o", figure).code == 4
    with Image.open(figure) as image:
        assert image.width > 800
    assert cxr_edge("drift", log(), "--bundle", "tiny", "-o", figure).code == 4
    film = tmp_path / "film.png"
    Image.new("L", (99, 99)).save(film)
    notes = tmp_path / "notes.png"
    notes.write_text("no picture at all")
    for other in (film, notes):
        before = other.read_bytes()
        outcome = cxr_edge("drift", log(), "--bundle", "tiny", "-o", other)
        assert outcome.code == 2
        assert "already exists and is not a drift plot; choose another output" in outcome.err
        assert other.read_bytes() == before
    outcome = cxr_edge("drift", log(), "--bundle", "tiny", "-o", tmp_path / "drift.txt")
    assert outcome.code == 2
    assert "name a file that ends with .png" in outcome.err


def test_earlier_films_of_the_log_can_be_the_reference(cxr_edge: Any, log: Films) -> None:
    log(share=0.3, moved=8, day="2026-01-01")
    path = log(share=0.3, moved=8, day="2026-06-01")
    since = ["--bundle", "tiny", "--since", "2026-06-01"]
    assert cxr_edge("drift", path, *since).code == 4
    outcome = cxr_edge("drift", path, *since, "--against", "earlier")
    assert outcome.code == 0
    assert outcome.out.splitlines()[:2] == [
        "OK: no limit is exceeded",
        "400 films of the log, compared with 400 earlier ones",
    ]
    assert "fits best" not in outcome.out
    log(share=0.3, day="2026-07-01")
    later = ["--bundle", "tiny", "--since", "2026-07-01", "--against", "earlier"]
    assert cxr_edge("drift", path, *later).code == 4
    outcome = cxr_edge("drift", path, "--against", "earlier")
    assert outcome.code == 2
    assert "needs --since" in outcome.err


@pytest.mark.parametrize(
    ("films", "rejected", "words"),
    [
        (1, 0, "1 film; at least 100 are needed to tell drift from chance (99 more)"),
        (99, 0, "99 films; at least 100 are needed to tell drift from chance (1 more)"),
        (
            80, 80,
            "0 films that the gate did not reject, of 80; at least 100 are needed to tell drift "
            "from chance (100 more)",
        ),
        (
            101, 2,
            "99 films that the gate did not reject, of 101; at least 100 are needed to tell drift "
            "from chance (1 more)",
        ),
    ],
)  # fmt: skip
def test_few_films_are_refused_rather_than_called_the_same(
    cxr_edge: Any, log: Films, films: int, rejected: int, words: str
) -> None:
    path = log(films, rejected=rejected)
    outcome = cxr_edge("drift", path, "--bundle", "tiny")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == f"cxr-edge: {path}: {words}\n"


def test_from_100_films_that_were_not_rejected_on_all_numbers_are_compared(
    cxr_edge: Any, log: Films
) -> None:
    # As a log of 205 adults, of whom the gate rejects 5.4%.
    outcome = cxr_edge("drift", log(205, rejected=11, moved=12), "--bundle", "tiny")
    assert outcome.code == 4
    lines = outcome.out.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["PSI", "probability", "gate", "rejected"]
    assert "rejected: 5.4% of the films, limit 5.0%" in outcome.err
    assert "gate distance: PSI" in outcome.err
    assert "gate distance: KS" in outcome.err
    exact = cxr_edge("drift", log(5, rejected=5), "--bundle", "tiny", "--json")
    assert json.loads(exact.out)["answered"] == 194


def test_log_of_rejected_films_is_drift_however_few_are_left(
    cxr_edge: Any, log: Films, tmp_path: Path
) -> None:
    figure = tmp_path / "drift.png"
    path = log(400, rejected=350)
    outcome = cxr_edge("drift", path, "--bundle", "tiny", "-o", figure)
    assert outcome.code == 4
    assert "rejected: 87.5% of the films, limit 5.0%" in outcome.err
    why = (
        "probability and gate distance were not compared: 50 films that the gate did not reject, "
        "of 400; at least 100 are needed to tell drift from chance (50 more)"
    )
    assert f"warning: {figure}: not drawn; {why}\n" in outcome.err
    assert f"{why}\n" in outcome.out
    assert outcome.out.startswith("400 films of the log\n")  # compared with nothing
    assert "fits best" not in outcome.out
    assert "PSI" not in outcome.out
    assert not figure.exists()
    as_json = json.loads(cxr_edge("drift", path, "--bundle", "tiny", "--json").out)
    assert (as_json["positives"], as_json["not_compared"]) == (None, [why])


def test_earlier_films_that_are_too_few_are_named(cxr_edge: Any, log: Films) -> None:
    log(60, day="2026-01-01")
    path = log(120, day="2026-06-01")
    since = ["--since", "2026-06-01", "--against", "earlier", "--bundle", "tiny"]
    outcome = cxr_edge("drift", path, *since)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        f"cxr-edge: {path}: before 2026-06-01T00:00:00Z 60 films; at least 100 are needed to tell "
        "drift from chance (40 more)\n"
    )


def test_value_that_chance_gives_with_few_films_is_said_and_is_no_drift(
    cxr_edge: Any, log: Films
) -> None:
    strict = ["--bundle", "tiny", "--max-psi", "0", "--max-ks", "0"]
    outcome = cxr_edge("drift", log(120), *strict)
    assert (outcome.code, outcome.err) == (0, "")
    assert re.search(
        r"^probability: PSI 0\.\d+ exceeds 0, but no more than chance gives with so few films$",
        outcome.out, re.MULTILINE,
    )  # fmt: skip
    assert cxr_edge("drift", log(80), *strict).code == 4


def test_what_is_no_log_is_one_line(cxr_edge: Any, log: Films, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_text("no database" * 100)
    for path, words in (
        (tmp_path / "nowhere.db", "no such log"), (other, "not a database"),
        (log(), "choose the bundle that classified them"),
    ):  # fmt: skip
        outcome = cxr_edge("drift", path)
        assert outcome.code == 1
        assert words in outcome.err
        assert outcome.err.count("\n") == 1


def test_bundle_without_a_reference_is_one_line(
    cxr_edge: Any, tmp_path: Path, golden_bundle: Path
) -> None:
    digest = load_bundle(str(golden_bundle)).digest
    opened = PredictionLog(tmp_path / "log.db")
    opened.append(
        LoggedFilm(f"{n:064x}", digest, "not_checked", None, 0.5, "2026-05-01T00:00:00Z")
        for n in range(300)
    )
    opened.close()
    outcome = cxr_edge("drift", tmp_path / "log.db", "--bundle", golden_bundle)
    assert outcome.code == 1
    assert "has no reference (reference.npz)" in outcome.err


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "-1", "-0.1"])
@pytest.mark.parametrize("limit", ["psi", "ks", "rejected"])
def test_limit_that_nothing_would_exceed_is_wrong_usage(
    cxr_edge: Any, log: Films, limit: str, value: str
) -> None:
    outcome = cxr_edge("drift", log(1), "--bundle", "tiny", f"--max-{limit}", value)
    assert outcome.code == 2
    assert limit in outcome.err
    assert "Traceback" not in outcome.err
