import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.console.training_progress import (
    TrainingProgress,
    print_start,
    print_start_of_compared,
    training_callbacks,
)
from cxr_edge_train.fitting.events import FitStart, RunStart
from cxr_edge_train.recipe import Fit


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def epoch(progress: Any, number: int, *, steps: int = 4) -> None:
    """What Keras calls in an epoch."""
    progress.set_params({"steps": steps})
    progress.on_epoch_begin(number)
    for step in range(steps):
        progress.on_train_batch_end(step)
    progress.on_epoch_end(number, {"loss": 0.5, "val_loss": 0.25})


def test_bar_on_a_terminal_fills_over_the_steps_of_each_epoch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = TrainingProgress(FitStart(Path(), Fit(head_epochs=1, epochs=2), 0))
    for number in range(2):
        epoch(progress, number)
    shown = terminal.getvalue()
    first, second = shown.index("epoch 1/3: "), shown.index("epoch 2/3: ")
    for part, number in ((shown[:first], 1), (shown[first:second], 2)):
        assert f"epoch {number}/3  [" in part
        assert all(f" {share}%" in part for share in (0, 25, 50, 75, 100))
        assert part.index("\x1b[?25l") < part.index("\x1b[?25h")  # the cursor comes back
    assert shown.endswith("epoch 2/3: loss 0.5000, val_loss 0.2500\n")
    assert capsys.readouterr().out == ""


def test_elsewhere_an_epoch_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    epoch(TrainingProgress(FitStart(Path(), Fit(head_epochs=0, epochs=2), 0)), 1)
    assert capsys.readouterr().err == "epoch 2/2: loss 0.5000, val_loss 0.2500\n"


def test_fits_of_a_distillation_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Fit(head_epochs=1, epochs=2, teachers=2)
    for number in range(3):
        [progress] = training_callbacks()(FitStart(Path(), settings, number))
        epoch(progress, 0)
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == [
        "teacher 1/2, epoch 1/3",
        "teacher 2/2, epoch 1/3",
        "student, epoch 1/2",
    ]


def test_beginning_of_a_run_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    start = RunStart("tiny", Path("run"), "cpu:0, float32")
    print_start(start)
    print_start(replace(start, epochs_done=3))
    print_start_of_compared(start)
    print_start_of_compared(replace(start, finished=True))
    assert capsys.readouterr().err.splitlines() == [
        "run: run, on cpu:0, float32",
        "run: run, on cpu:0, float32",
        "resuming after 3 epochs",
        "tiny: training, run run",
        "tiny: trained already",
    ]
