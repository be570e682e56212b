import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import small_fit
from cxr_edge_runtime.errors import RunError
from cxr_edge_train.fitting import predict_logits
from cxr_edge_train.snapshots import read_progress

HEAD, BEST, LATER = 2, 4, 6  # epochs: in the head phase, the best one, of worse ones after it


def program(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, small_fit.__file__, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        capture_output=True,
        text=True,
    )


def history(folder: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
    for row in rows:
        del row["seconds"]
    return rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, keras.Model]:
    """The fit that nobody interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, small_fit.run(folder)


def test_the_fit_has_what_a_restart_can_lose(whole: tuple[Path, keras.Model]) -> None:
    folder, _ = whole
    progress = read_progress(folder)
    assert progress.stopped
    assert progress.best_epoch == BEST
    assert progress.epochs == BEST + small_fit.RECIPE.fit.patience > LATER
    assert [row["epoch"] for row in history(folder)] == [str(n) for n in range(progress.epochs)]


@pytest.mark.parametrize(
    ("moment", "epoch"),
    [
        (small_fit.MOMENTS[0], HEAD),
        (small_fit.MOMENTS[0], HEAD + 1),
        (small_fit.MOMENTS[0], LATER),
        (small_fit.MOMENTS[1], BEST),
        (small_fit.MOMENTS[2], HEAD),
        (small_fit.MOMENTS[2], LATER),
    ],
)
def test_killed_fit_goes_on_as_if_nothing_had_happened(
    whole: tuple[Path, keras.Model], tmp_path: Path, moment: str, epoch: int
) -> None:
    outcome = program(tmp_path, moment, epoch)
    assert outcome.returncode == -signal.SIGKILL, outcome.stderr
    assert read_progress(tmp_path).epochs == epoch - 1

    model = small_fit.run(tmp_path)
    assert read_progress(tmp_path) == read_progress(whole[0])
    assert history(tmp_path) == history(whole[0])
    for one, other in zip(model.get_weights(), whole[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    for one, other in zip(model.optimizer.variables, whole[1].optimizer.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"history.csv", "snapshot.npz", f"best-{BEST:04}.keras"}


def test_finished_fit_is_not_done_again(whole: tuple[Path, keras.Model]) -> None:
    before = history(whole[0])
    again = small_fit.run(whole[0])
    assert history(whole[0]) == before
    pixels, _ = small_fit.films()
    np.testing.assert_array_equal(predict_logits(again, pixels), predict_logits(whole[1], pixels))


def test_damaged_snapshot_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "snapshot.npz").write_bytes(b"PK nonsense")
    with pytest.raises(RunError, match=r"snapshot\.npz: damaged .*remove .* and train again"):
        small_fit.run(tmp_path)
