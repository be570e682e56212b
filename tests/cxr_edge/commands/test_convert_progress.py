"""What ``convert`` shows while it works: its own stages, and nothing of the libraries it uses."""

import fcntl
import io
import os
import re
import struct
import sys
import termios
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ai_edge_quantizer.utils import progress_utils

STAGES = [
    "loading TensorFlow",
    "loading the model",
    "running the float model",
    "building the input gate",
    "converting float32",
    "float32: verifying",
    "int8: calibrating",
    "int8: quantizing",
    "int8: calibrating with other images",
    "int8: quantizing with other images",
    "int8: verifying",
    "int8: comparing tensors",
    "int8: verifying with other images",
    "input gates",
    "measuring",
    "writing the report",
]
# As typer draws it: the label, the bar, the share, the time that is left.
BAR = re.compile(r"(?P<label>[\w: ]+?)  \[[#-]+\] +\d+%( +[\d:d ]+)?")
CONTROL = re.compile(r"\x1b\[[?\d;]*[A-Za-z]")


@pytest.fixture(autouse=True)
def bars_of_the_quantizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quantizer draws a bar for a hundred tensors or more; here for any number."""
    init = progress_utils.ProgressBar.__init__

    def drawn(self: Any, *arguments: Any, enable: bool | None = None, **others: Any) -> None:
        init(self, *arguments, enable=enable is not False, **others)

    monkeypatch.setattr(progress_utils.ProgressBar, "__init__", drawn)


@pytest.fixture
def convert(
    cxr_edge: Any, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Any], None]:
    """Convert the tests' tiny network with a stream as standard error."""

    def run(stream: Any) -> None:
        monkeypatch.setattr(sys, "stderr", stream)
        outcome = cxr_edge(
            "convert", trained.run, "--int8", "-o", tmp_path / "out", "--min-agreement", 0,
            "--max-recall-drop", 1, "--max-specificity-drop", 1, "--max-auc-drop", 1,
        )  # fmt: skip
        stream.flush()
        assert outcome.code == 0
        assert outcome.err == ""  # nothing goes past the stream

    return run


def is_stage(line: str) -> bool:
    """Not a warning, nor the stage that is passed over where pixels are cached."""
    return line != "reading images" and not line.startswith("warning: ")


def test_every_stage_is_one_line_in_a_file(convert: Callable[[Any], None], tmp_path: Path) -> None:
    with (tmp_path / "log.txt").open("w") as stream:
        convert(stream)
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line for line in lines if is_stage(line)] == STAGES


def test_terminal_shows_one_bar_at_a_time_and_no_other(convert: Callable[[Any], None]) -> None:
    master, slave = os.openpty()
    # A terminal has a size; the quantizer's bars are not drawn on one without.
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    shown = io.BytesIO()

    def read() -> None:
        while True:
            try:
                chunk = os.read(master, 4096)
            except OSError:  # the other end is closed
                return
            shown.write(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w") as stream:
        assert stream.isatty()
        convert(stream)
    reader.join()
    os.close(master)
    pieces = re.split(r"[\r\n]+", CONTROL.sub("", shown.getvalue().decode()))
    labels = []
    for piece in filter(None, map(str.rstrip, pieces)):
        bar = BAR.fullmatch(piece)
        labels.append(bar["label"] if bar else piece)
    seen = list(dict.fromkeys(filter(is_stage, labels)))
    assert seen == STAGES
    assert sum(bool(BAR.fullmatch(piece.rstrip())) for piece in pieces) > 20
