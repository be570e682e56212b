import errno
import json
import shutil
import signal
from pathlib import Path

import keras
import numpy as np
import pytest

import small_fit
from cxr_edge_runtime.errors import RunError
from cxr_edge_train.backend.keras_models import predict_logits
from cxr_edge_train.fitting.snapshots import read_progress

HEAD, BEST, LATER = 2, 7, 9  # epochs: in the head phase, the best one, of worse ones after it


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
    best, tie = (small_fit.history(folder)[epoch - 1] for epoch in (BEST, BEST + 1))
    assert best["val_auc"] == tie["val_auc"]
    assert progress.best == (-float(best["val_auc"]), float(best["val_loss"]))
    assert best["val_loss"] < tie["val_loss"]
    assert [row["epoch"] for row in small_fit.history(folder)] == [
        str(n) for n in range(progress.epochs)
    ]


@pytest.mark.parametrize(
    ("moment", "epoch"),
    [
        (small_fit.MOMENTS[0], HEAD + 1),
        pytest.param(small_fit.MOMENTS[1], BEST, marks=pytest.mark.slow),
        pytest.param(small_fit.MOMENTS[2], LATER, marks=pytest.mark.slow),
        pytest.param(small_fit.MOMENTS[0], HEAD, marks=pytest.mark.slow),
        pytest.param(small_fit.MOMENTS[0], LATER, marks=pytest.mark.slow),
        pytest.param(small_fit.MOMENTS[2], HEAD, marks=pytest.mark.slow),
    ],
)
def test_killed_fit_goes_on_as_if_nothing_had_happened(
    whole: tuple[Path, keras.Model], tmp_path: Path, moment: str, epoch: int
) -> None:
    outcome = small_fit.program(tmp_path, moment, epoch)
    assert outcome.returncode == -signal.SIGKILL, outcome.stderr
    assert read_progress(tmp_path).epochs == epoch - 1

    model = small_fit.run(tmp_path)
    assert read_progress(tmp_path) == read_progress(whole[0])
    assert small_fit.history(tmp_path) == small_fit.history(whole[0])
    for one, other in zip(model.get_weights(), whole[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    for one, other in zip(model.optimizer.variables, whole[1].optimizer.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"history.csv", "snapshot.npz", f"best-{BEST:04}.keras"}


@pytest.mark.parametrize("full_at", ["the best model", "the snapshot"])
def test_full_disk_leaves_nothing_half_written(
    whole: tuple[Path, keras.Model],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    full_at: str,
) -> None:
    def full(target: Path) -> None:
        if read_progress(tmp_path).epochs == BEST - 1:
            Path(target).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    save, savez = keras.Model.save, np.savez
    with monkeypatch.context() as patch:
        if full_at == "the best model":
            patch.setattr(keras.Model, "save", lambda m, p, **kw: (full(p), save(m, p, **kw)))
        else:
            patch.setattr(np, "savez", lambda p, **arrays: (full(p), savez(p, **arrays)))
        with pytest.raises(OSError, match="No space left on device"):
            small_fit.run(tmp_path)
    assert read_progress(tmp_path).epochs == BEST - 1
    assert len(small_fit.history(tmp_path)) == BEST - 1
    best = read_progress(tmp_path).best_file(tmp_path)
    assert best is not None
    before = best.name
    assert {path.name for path in tmp_path.iterdir()} == {"history.csv", "snapshot.npz", before}
    small_fit.run(tmp_path)
    assert small_fit.history(tmp_path) == small_fit.history(whole[0])


def test_finished_fit_is_not_done_again(whole: tuple[Path, keras.Model]) -> None:
    before = small_fit.history(whole[0])
    again = small_fit.run(whole[0])
    assert small_fit.history(whole[0]) == before
    pixels, _ = small_fit.films()
    np.testing.assert_array_equal(predict_logits(again, pixels), predict_logits(whole[1], pixels))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_damaged_snapshot_is_one_clear_error(tmp_path: Path, share: float) -> None:
    np.savez(tmp_path / "snapshot.npz", progress="{}", weights=np.ones(100))
    content = (tmp_path / "snapshot.npz").read_bytes()
    (tmp_path / "snapshot.npz").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(RunError, match=r"snapshot\.npz: damaged .*remove .* and train again"):
        small_fit.run(tmp_path)


def test_snapshot_of_a_larger_network_is_one_clear_error(
    whole: tuple[Path, keras.Model], tmp_path: Path
) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    file = tmp_path / "snapshot.npz"
    with np.load(file) as arrays:
        kept = dict(arrays)
    kept["progress"] = np.array(json.dumps(json.loads(str(kept["progress"])) | {"stopped": False}))
    groups = {name.rpartition("-")[0] for name in kept if "-" in name}
    assert groups
    for group in groups:
        count = sum(name.startswith(f"{group}-") for name in kept)
        np.savez(file, **kept, **{f"{group}-{count}": np.zeros(1)})
        with pytest.raises(
            RunError, match=rf"damaged .*more than {count} variables of the {group}"
        ):
            small_fit.run(tmp_path)


def test_damaged_best_model_is_one_clear_error(tmp_path: Path) -> None:
    progress = json.dumps({"epochs": 11, "stopped": True, "best": 0.5, "best_epoch": 9})
    np.savez(tmp_path / "snapshot.npz", progress=progress)
    (tmp_path / "best-0009.keras").write_bytes(b"PK nonsense")
    with pytest.raises(
        RunError, match=r"best-0009\.keras: cannot be loaded .*remove .* and train again"
    ):
        small_fit.run(tmp_path)


def test_folder_with_braces_in_its_name_is_just_a_folder(
    whole: tuple[Path, keras.Model], tmp_path: Path
) -> None:
    folder = tmp_path / "br{epoch}ace"
    folder.mkdir()
    small_fit.run(folder)
    assert small_fit.history(folder) == small_fit.history(whole[0])
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


@pytest.mark.parametrize("text", ["", "epo", "epoch,loss\n0,0.5\n"])
def test_damaged_history_is_found_before_the_first_epoch(tmp_path: Path, text: str) -> None:
    np.savez(tmp_path / "snapshot.npz", progress=json.dumps({"epochs": 3}))
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(RunError, match=r"history\.csv: damaged; remove .* and train again"):
        small_fit.run(tmp_path)


def test_training_that_an_earlier_version_began_is_refused_in_one_line(
    whole: tuple[Path, keras.Model], tmp_path: Path
) -> None:
    progress = {"epochs": 1, "stopped": False, "best": 0.5, "best_epoch": 1, "wait": 0}
    np.savez(tmp_path / "snapshot.npz", progress=json.dumps(progress))
    (tmp_path / "history.csv").write_text("epoch,loss,seconds,val_loss\n0,0.5,1.0,0.5\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RunError, match="an earlier version of cxr-edge started this training") as e:
        small_fit.run(tmp_path)
    assert "\n" not in str(e.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
