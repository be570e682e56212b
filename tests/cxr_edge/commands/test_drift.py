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
    lines = outcome.out.splitlines()
    assert re.fullmatch(r"400 films of the log, [0-9]{3} of verification", lines[0])
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
    assert "rejected: 10.0% of the films, more than 5.0%" in outcome.err
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
    assert outcome.out.splitlines()[0] == "400 films of the log, 400 of earlier"
    assert "fits best" not in outcome.out
    log(share=0.3, day="2026-07-01")
    later = ["--bundle", "tiny", "--since", "2026-07-01", "--against", "earlier"]
    assert cxr_edge("drift", path, *later).code == 4
    outcome = cxr_edge("drift", path, "--against", "earlier")
    assert outcome.code == 2
    assert "needs --since" in outcome.err


def test_few_films_are_refused_rather_than_called_the_same(cxr_edge: Any, log: Films) -> None:
    outcome = cxr_edge("drift", log(199), "--bundle", "tiny")
    assert (outcome.code, outcome.out) == (1, "")
    assert "199 films; at least 200 are needed to tell drift from chance" in outcome.err
    outcome = cxr_edge("drift", log(5, rejected=5), "--bundle", "tiny")
    assert outcome.code == 1
    assert "199 films that were not rejected; at least 200 are needed" not in outcome.out


def test_log_of_rejected_films_is_drift_however_few_are_left(
    cxr_edge: Any, log: Films, tmp_path: Path
) -> None:
    figure = tmp_path / "drift.png"
    outcome = cxr_edge("drift", log(400, rejected=350), "--bundle", "tiny", "-o", figure)
    assert outcome.code == 4
    assert "rejected: 87.5% of the films, more than 5.0%" in outcome.err
    assert "PSI" in outcome.out
    assert "probability" not in outcome.out
    assert not figure.exists()


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
