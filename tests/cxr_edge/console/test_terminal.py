import io
import sys

import pytest

from cxr_edge.console.terminal import Stages, printable, progress_bar, say


def test_control_characters_and_broken_bytes_are_not_printed() -> None:
    assert printable("a\x1b[31mb\n\udcff.png") == "a?[31mb??.png"
    assert printable("Röntgen 1.png") == "Röntgen 1.png"


def test_no_bar_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress_bar("x")(iter("abc"), 3)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bar_on_a_terminal_goes_to_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress_bar("reading")(iter("abc"), 3)) == ["a", "b", "c"]
    assert "reading" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def nested(stages: Stages) -> None:
    """A stage of two items, the first of which has a stage within; then one without a count."""
    for item in stages("outer")(iter("ab"), 2):
        if item == "a":
            assert list(stages("inner")(iter("xyz"), 3)) == ["x", "y", "z"]
    for _ in stages("ended early")(iter("ab"), 2):
        break
    assert list(stages("uncounted")(iter("a"), 1)) == ["a"]


def test_stage_is_one_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    nested(Stages())
    assert capsys.readouterr().err == "outer\nended early\nuncounted\n"


def test_stage_on_a_terminal_is_one_bar_or_a_line_where_nothing_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    nested(Stages())
    shown = terminal.getvalue()
    assert "inner" not in shown
    assert "outer  [" in shown
    assert shown.endswith("uncounted\n")


def test_parameter_of_the_python_api_is_said_as_an_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say("Fewer can be allowed (min_films); merge two (map), or (what) in 'film (map).png' (labels)")
    assert capsys.readouterr().err == (
        "Fewer can be allowed (--min-films); merge two (--map), or (what) in 'film (map).png' "
        "(--labels)\n"
    )
