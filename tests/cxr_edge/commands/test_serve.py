import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cxr_edge.commands.serve import read_token
from cxr_edge.serving import server
from cxr_edge.serving.security import is_loopback
from cxr_edge_runtime.errors import InvalidRequest
from logged_films import rows
from serving import PHANTOM

TOKEN = "0123456789abcdef"


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXR_EDGE_TOKEN", raising=False)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "192.168.1.5", "::", "raspberrypi", "localhost.evil.example"]
)
def test_other_addresses_need_a_token_or_an_admission(cxr_edge: Any, host: str) -> None:
    outcome = cxr_edge("serve", "--host", host)
    assert outcome.code == 2
    assert "give --token-file, set CXR_EDGE_TOKEN, or say --insecure" in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--log-keep", "90d"], "--log-keep: there is no log to delete from; give --log, too"),
        (["--log", "log.db", "--log-keep", "90"], "--log-keep 90: give a number of s, m, h or d"),
    ],
)
def test_rows_are_kept_for_a_time_of_a_log(cxr_edge: Any, options: list[str], words: str) -> None:
    outcome = cxr_edge("serve", *options)
    assert outcome.code == 2
    assert words in outcome.err
    assert outcome.err.count("\n") == 1


def test_own_addresses_are_known() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example")))


@pytest.mark.parametrize("content", ["", "short", "0123456789 abcdefg", "é" * 20, "\x01" * 20])
def test_weak_token_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(InvalidRequest, match="at least 16 letters and digits") as error:
        read_token(file, say=print)
    assert content not in str(error.value) or not content


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o604])
def test_token_that_everybody_can_read_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(mode)
    assert read_token(file, say=print) == TOKEN
    said = f"warning: {file}: every user of this device can read the token; run: chmod o-r {file}\n"
    assert capsys.readouterr().out == (said if mode & 4 else "")


def test_token_comes_from_the_file_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_token(None, say=print) is None
    monkeypatch.setenv("CXR_EDGE_TOKEN", TOKEN)
    assert read_token(None, say=print) == TOKEN
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}-of-the-file\n")
    assert read_token(file, say=print) == f"{TOKEN}-of-the-file"
    with pytest.raises(InvalidRequest, match="No such file"):
        read_token(tmp_path / "absent", say=print)


def test_address_that_is_taken_is_one_line(cxr_edge: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = cxr_edge("serve", "--port", taken.getsockname()[1])
    assert outcome.code == 2
    assert "Address already in use; choose another host or port" in outcome.err
    assert outcome.err.count("\n") == 1


def test_missing_extra_is_named(cxr_edge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    # The package's attribute comes back, too: an import sets it to another module.
    monkeypatch.setattr(sys.modules["cxr_edge"], "serving", sys.modules["cxr_edge.serving"])
    for name in [name for name in sys.modules if name.startswith("cxr_edge.serving")]:
        monkeypatch.delitem(sys.modules, name)
    outcome = cxr_edge("serve")
    assert outcome.code == 1
    assert "run: pip install '.[serve]'" in outcome.err


@pytest.mark.parametrize(
    ("token", "warning"),
    [
        (None, "anyone who reaches 192.0.2.1 can send films and read the results"),
        (TOKEN, "token and films cross the network unencrypted; put a TLS proxy before it"),
    ],
)
def test_other_addresses_come_with_a_warning(
    cxr_edge: Any, monkeypatch: pytest.MonkeyPatch, token: str | None, warning: str
) -> None:
    if token is not None:
        monkeypatch.setenv("CXR_EDGE_TOKEN", token)
    # An address of documentation, which no device has: after the warning, listening fails.
    outcome = cxr_edge("serve", "--host", "192.0.2.1", "--insecure")
    assert outcome.code == 2
    assert outcome.err.splitlines()[0] == f"warning: {warning}"


def test_own_address_comes_without_a_warning_and_films_go_into_the_log(
    cxr_edge: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def answer_one(app: Any, listening: socket.socket, **_: Any) -> None:
        with TestClient(app, base_url="http://localhost") as client:
            answer = client.post("/v1/classify", content=PHANTOM.read_bytes())
            assert answer.status_code == 200

    monkeypatch.setattr(server, "run", answer_one)
    outcome = cxr_edge("serve", "--port", 0, "--threads", 1, "--log", tmp_path / "log.db")
    assert outcome.code == 0, outcome.err
    assert "warning" not in outcome.err
    assert "with 1 worker; Ctrl-C stops" in outcome.err
    assert len(rows(tmp_path / "log.db")) == 1
    assert [path.name for path in tmp_path.glob("log.db*")] == ["log.db"]  # closed
