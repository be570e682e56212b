import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cxr_edge.monitoring.log_writer import LogWriter
from cxr_edge.monitoring.prediction_log import PredictionLog
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.errors import UnreadableImage
from cxr_edge_runtime.gate import Verdict
from logged_films import rows


def prediction(**changed: object) -> Prediction:
    values = {
        # The golden bundle has a temperature of 1.5.
        "label": "NORMAL", "probability": 0.25, "threshold": 0.4, "logit": 1.5 * math.log(1 / 3),
        "prevalence": None, "gate": Verdict("accepted", (), 21.5), "activation_map": None,
        "warnings": (), "timings_ms": {}, "image_sha256": "a" * 64,
    }  # fmt: skip
    return Prediction(**(values | changed))  # type: ignore[arg-type]


def test_a_row_has_numbers_and_hashes_and_nothing_else(tmp_path: Path, golden_bundle: Path) -> None:
    bundle = Bundle.load(golden_bundle)
    log = PredictionLog(tmp_path / "log.db")
    writer = LogWriter(log, bundle)
    writer.write(Path("Doe^Jane.png"), prediction())
    writer.write(Path("Doe^John.png"), UnreadableImage("Doe^John.png: damaged"))
    writer.close()
    assert writer.error is None
    [(image, by, gate, distance, probability, at)] = rows(tmp_path / "log.db")
    assert (image, by, gate) == ("a" * 64, bundle.digest, "accepted")
    assert (distance, probability) == (21.5, pytest.approx(0.25))
    then = datetime.strptime(str(at), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - then).total_seconds()) < 60
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Doe" not in content


def test_full_disk_does_not_stop_the_films_and_is_said_at_the_end(
    tmp_path: Path, golden_bundle: Path
) -> None:
    log = PredictionLog(tmp_path / "log.db")
    # SQLite's own way to say that the disk is full.
    log._connection.execute("PRAGMA max_page_count = 3")
    writer = LogWriter(log, Bundle.load(golden_bundle))
    for _ in range(200):
        writer.write(Path("film.png"), prediction())
    writer.close()
    assert "log.db: the log cannot be written (database or disk is full)" in str(writer.error)
    assert 0 < len(rows(tmp_path / "log.db")) < 200
