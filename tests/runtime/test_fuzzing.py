import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    ("body", "seconds", "wrong"),
    [
        ("raise KeyError('x')", 60, "KeyError: 'x'"),
        ("import os; os.abort()", 60, "the process ended with -6"),
        ("import time; time.sleep(600)", 2, "the process ended with -9"),
        ("fuzzing.held = bytearray(b'x' * 700 * 2**20)", 60, "MB of memory"),
    ],
)
def test_what_goes_wrong_is_found_and_the_rest_is_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str, seconds: int, wrong: str
) -> None:
    """Runs the script's own children with a runtime that fails at the third input."""
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
    monkeypatch.setattr(fuzzing, "MAX_SECONDS", seconds)
    findings = fuzzing.run(5, seed=0)
    assert list(findings) == [2]
    assert wrong in findings[2]


def test_error_of_several_lines_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def two_lines(content: bytes) -> None:
        raise UnreadableImage("damaged\nfilm")

    monkeypatch.setattr(fuzzing, "load_grey", two_lines)
    assert "not one line" in (fuzzing.attempt("image", b"") or "")
