import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import fuzzing
from cxr_edge_runtime.errors import UnreadableImage


def test_damaged_inputs_get_an_answer_or_one_line() -> None:
    wholes = fuzzing.seeds()
    assert {kind for kind, _ in wholes} == {
        "image",
        "manifest",
        "gate",
        "selftest",
        "reference",
        "archive",
    }
    for kind, content in wholes:
        assert fuzzing.attempt(kind, content) is None
    # The whole run, in child processes and with real images, is .ci/full's.
    for number in range(500):
        assert fuzzing.attempt(*fuzzing.mutated(wholes, 7, number)) is None, number


def test_input_follows_from_seed_and_number() -> None:
    wholes = fuzzing.seeds()
    assert fuzzing.mutated(wholes, 1, 5) == fuzzing.mutated(wholes, 1, 5)
    assert fuzzing.mutated(wholes, 1, 5) != fuzzing.mutated(wholes, 1, 6)
    assert fuzzing.mutated(wholes, 1, 5) != fuzzing.mutated(wholes, 2, 5)


class _Clock:
    """Threads' timers, of which only that of the third input runs out: at once."""

    def __init__(self) -> None:
        self.started: list[float] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> Any:
        def start() -> None:
            self.started.append(seconds)
            if len(self.started) == 4:  # the first is for the start of the child
                call()

        return SimpleNamespace(start=start, cancel=lambda: None)


def test_input_that_takes_too_long_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = _Clock()
    monkeypatch.setattr(fuzzing.threading, "Timer", clock)
    findings = _found("import time; time.sleep(600)", monkeypatch, tmp_path)
    assert findings == {2: "the process ended with -9"}
    assert clock.started[:4] == [fuzzing.MAX_START_SECONDS, *[fuzzing.MAX_SECONDS] * 3]


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("import os; os.abort()", "the process ended with -6"),
        ("fuzzing.held = bytearray(b'x' * 700 * 2**20)", "MB of memory"),
    ],
)
def test_what_goes_wrong_is_found_and_the_rest_is_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str, wrong: str
) -> None:
    findings = _found(body, monkeypatch, tmp_path)
    assert list(findings) == [2]
    assert wrong in findings[2]


def _found(body: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[int, str]:
    """Run the script's own children with a runtime that fails at the third input."""
    script = tmp_path / "broken.py"
    script.write_text(
        f"import sys\nsys.path[:0] = {[*sys.path]!r}\n"
        "import fuzzing\n"
        "seen = [int(sys.argv[sys.argv.index('--child') + 1])]\n"
        "def load_grey(content):\n"
        "    number = seen[0]\n"
        f"    if number == 2:\n        {body}\n"
        "    raise fuzzing.CxrEdgeError('no film')\n"
        "def attempt(kind, content, try_=fuzzing.attempt):\n"
        "    try:\n        return try_('image', content)\n    finally:\n        seen[0] += 1\n"
        "fuzzing.load_grey, fuzzing.attempt = load_grey, attempt\n"
        "fuzzing.main()\n"
    )
    monkeypatch.setattr(fuzzing, "__file__", str(script))
    return fuzzing.run(5, seed=0)


def test_error_of_several_lines_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def two_lines(content: bytes) -> None:
        raise UnreadableImage("damaged\nfilm")

    monkeypatch.setattr(fuzzing, "load_grey", two_lines)
    assert "not one line" in (fuzzing.attempt("image", b"") or "")
