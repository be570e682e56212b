import io
import sys

import pytest

from cxr_edge.console.terminal import printable, progress_bar


def test_control_characters_and_broken_bytes_are_not_printed() -> None:
    assert printable("a\x1b[31mb\n\udcff.png") == "a?[31mb??.png"
    assert printable("Röntgen 1.png") == "Röntgen 1.png"


def test_no_bar_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress_bar("x")(iter("abc"), 3)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_bar_on_a_terminal_goes_to_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress_bar("reading")(iter("abc"), 3)) == ["a", "b", "c"]
    assert "reading" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
    assert capsys.readouterr().out == ""
