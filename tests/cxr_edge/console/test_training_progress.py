import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.console.training_progress import (
    TrainingProgress,
    print_best_epochs,
    print_start,
    print_start_of_compared,
)
from cxr_edge_train.fitting.events import FitStart, RunStart
from cxr_edge_train.recipe import Fit
from cxr_edge_train.runs import read_run

LOGS = {
    "loss": 0.35, "val_loss": 0.25, "val_auc": 0.985, "val_sensitivity": 0.97,
    "val_specificity": 0.91, "val_accuracy": 0.9038, "seconds": 146.2,
}  # fmt: skip
LINE = (
    "loss 0.350  val loss 0.250  val AUC 0.985  recall 0.970  specificity 0.910  accuracy 0.904  "
    "2 min 26 s\n"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def epoch(progress: Any, number: int, *, steps: int = 4) -> None:
    """What Keras calls in an epoch."""
    progress.set_params({"steps": steps})
    progress.on_epoch_begin(number)
    for step in range(steps):
        progress.on_train_batch_end(step)
    progress.on_epoch_end(number, dict(LOGS))


def test_bar_on_a_terminal_fills_over_the_steps_of_each_epoch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = TrainingProgress(FitStart(Path(), Fit(head_epochs=1, epochs=2)))
    for number in range(2):
        epoch(progress, number)
    shown = terminal.getvalue()
    first, second = shown.index("epoch 1 of 3  loss"), shown.index("epoch 2 of 3  loss")
    for part, number in ((shown[:first], 1), (shown[first:second], 2)):
        assert f"epoch {number} of 3  [" in part
        assert all(f" {share}%" in part for share in (0, 25, 50, 75, 100))
        assert part.index("\x1b[?25l") < part.index("\x1b[?25h")  # the cursor comes back
    assert shown.endswith(f"epoch 2 of 3  {LINE}")
    assert capsys.readouterr().out == ""


def test_first_step_of_each_fit_says_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = TrainingProgress(FitStart(Path(), Fit(head_epochs=1, epochs=2)))
    progress.set_params({"steps": 4})
    for number, compiles in enumerate((True, True, False)):
        if compiles:
            progress.on_train_begin()
        progress.on_epoch_begin(number)
        before = terminal.getvalue().splitlines()[-1]
        assert (f"epoch {number + 1} of 3, compiling the network" in before) == compiles
        progress.on_train_batch_end(0)
        assert "compiling" not in terminal.getvalue()[-100:]
        progress.on_epoch_end(number, dict(LOGS))


def test_elsewhere_an_epoch_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    epoch(TrainingProgress(FitStart(Path(), Fit(head_epochs=0, epochs=2))), 1)
    assert capsys.readouterr().err == f"epoch 2 of 2  {LINE}"


def test_best_validation_accuracy_is_said_with_its_epoch_and_what_was_kept(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.toml").write_text("[fit]\nhead_epochs = 1\n")
    (tmp_path / "history.csv").write_text(
        "epoch,loss,seconds,val_accuracy,val_auc,val_loss,val_sensitivity,val_specificity\n"
        "0,0.7,1.0,0.8,0.9,0.6,0.9,0.7\n"
        "1,0.6,1.0,0.89,0.96,0.5,0.9,0.8\n"
        "2,0.5,1.0,0.9038,0.95,0.4,0.92,0.8\n"
    )
    print_best_epochs(replace(read_run(trained.run), folder=tmp_path))
    assert capsys.readouterr().out == (
        "best validation accuracy 90.38%, epoch 3; epoch 2 is kept, with accuracy 89.00% and AUC "
        "0.960 (at probability 0.5)\n"
    )


def test_beginning_of_a_run_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    start = RunStart("tiny", Path("runs/tiny-a"), "cpu:0, float32")
    print_start(start)
    print_start(replace(start, epochs_done=3))
    print_start_of_compared(start)
    print_start_of_compared(replace(start, finished=True))
    assert capsys.readouterr().err.splitlines() == [
        "run: runs/tiny-a, on cpu:0, float32",
        "run: runs/tiny-a, on cpu:0, float32",
        "resuming after 3 epochs",
        "tiny-a: training, run runs/tiny-a",
        "tiny-a: trained already",
    ]
