"""docs/orthanc/answer_films.py with stand-ins for Orthanc and for cxr-edge serve."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scripts import ROOT, load_script

SCRIPT = "docs/orthanc/answer_films.py"


class Done(Exception):
    """Nothing is left to go through."""


class Orthanc:
    """Instances that were received, by number, and what was stored back."""

    def __init__(self, *names: str) -> None:
        self.names, self.stored = list(names), []

    def json(self, path: str) -> Any:
        if path == "/changes?last":
            return {"Last": len(self.names)}
        if path.startswith("/changes"):
            since = int(path.partition("since=")[2].partition("&")[0])
            listed = [
                {"Seq": number, "ID": name, "ChangeType": "NewInstance"}
                for number, name in enumerate(self.names, start=1)
                if number > since
            ]
            if not listed:
                raise Done
            return {"Changes": listed, "Done": False}
        return {"Modality": "CR"}

    def request(self, path: str, body: bytes | None = None) -> tuple[bytes, str]:
        if body is not None:
            self.stored.append(body)
        return path.split("/")[2].encode() if body is None else b"", ""


class Edge:
    """Answers every film with its name, but for one at which it dies."""

    def __init__(self, script: Any, deadly: str = "") -> None:
        self._script, self._deadly = script, deadly.encode()

    def request(self, path: str, body: bytes | None = None) -> tuple[bytes, str]:
        if body is not None and body == self._deadly:
            raise self._script.Unreachable("Remote end closed connection")
        head = f"--x\r\nContent-Length: {len(body or b'')}\r\n\r\n".encode()
        return head + (body or b"") + b"\r\n--x--\r\n", "multipart/related; boundary=x"


@pytest.fixture
def script() -> Any:
    return load_script(SCRIPT)


def followed(script: Any, orthanc: Orthanc, edge: Edge, file: Path) -> int:
    """Follow to the end; how often a program missed."""
    state, tries, missed = script.State(file), Counter(), 0
    while True:
        try:
            script.follow(orthanc, edge, state, tries)
        except script.ProgramMisses:
            missed += 1
        except Done:
            return missed


def test_film_at_which_the_server_dies_is_passed_over(
    script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    orthanc = Orthanc("a", "deadly", "b")
    assert followed(script, orthanc, Edge(script, "deadly"), tmp_path / "state") == 4
    assert orthanc.stored == [b"a", b"b"]
    assert "deadly: no answer after 5 tries: Remote end closed" in capsys.readouterr().err


def test_busy_server_and_full_archive_are_waited_for(script: Any, tmp_path: Path) -> None:
    orthanc, busy = Orthanc("a", "b"), [script.ProgramMisses] * 8

    class Busy(Edge):
        def request(self, path: str, body: bytes | None = None) -> tuple[bytes, str]:
            if body is not None and busy:
                raise busy.pop()("status 503")
            return super().request(path, body)

    store, full = orthanc.request, [script.ProgramFails] * 8

    def request(path: str, body: bytes | None = None) -> tuple[bytes, str]:
        if body is not None and full:
            raise full.pop()("status 500: disk full")
        return store(path, body)

    orthanc.request = request
    assert followed(script, orthanc, Busy(script), tmp_path / "state") == 16
    assert orthanc.stored == [b"a", b"b"]


def test_it_goes_on_where_it_was_and_begins_anew_with_another_orthanc(
    script: Any, tmp_path: Path
) -> None:
    orthanc, state = Orthanc("a", "b"), tmp_path / "state"
    followed(script, orthanc, Edge(script), state)
    orthanc.names.append("c")
    followed(script, orthanc, Edge(script), state)
    assert orthanc.stored == [b"a", b"b", b"c"]
    assert state.read_text() == "3 c"
    # A state that an earlier version wrote has the number alone.
    state.write_text("2")
    followed(script, orthanc, Edge(script), state)
    assert orthanc.stored[3:] == [b"c"]
    for other in (Orthanc("p", "q", "r", "s"), Orthanc("t")):
        followed(script, other, Edge(script), state)
        assert other.stored == [name.encode() for name in other.names]


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "is not a state file of this program; remove "
        "it"), ("x y z", "is not a state file of this program"),
     (None, "cannot be read")],
)  # fmt: skip
def test_state_that_cannot_be_used_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    state = tmp_path / "state"
    state.mkdir() if content is None else state.write_text(content)
    done = run("--state", state)
    assert done.returncode == 1
    assert done.stderr.startswith(f"answer_films: {state}: {said}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("address", ["foo", "http://127.0.0.1:abc", "ftp://here"])
def test_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    done = run("--state", tmp_path / "state", "--orthanc", address)
    assert done.returncode == 2
    assert f"{address} is not an address such as" in done.stderr


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
