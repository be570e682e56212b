import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.commands.serve import read_token
from cxr_edge.serving.security import is_loopback
from cxr_edge_runtime.errors import InvalidRequest

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


def test_own_addresses_are_known() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example")))


@pytest.mark.parametrize("content", ["", "short", "0123456789 abcdefg", "é" * 20, "\x01" * 20])
def test_weak_token_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(InvalidRequest, match="at least 16 letters and digits") as error:
        read_token(file)
    assert content not in str(error.value) or not content


def test_token_comes_from_the_file_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_token(None) is None
    monkeypatch.setenv("CXR_EDGE_TOKEN", TOKEN)
    assert read_token(None) == TOKEN
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}-of-the-file\n")
    assert read_token(file) == f"{TOKEN}-of-the-file"
    with pytest.raises(InvalidRequest, match="No such file"):
        read_token(tmp_path / "absent")


def test_address_that_is_taken_is_one_line(cxr_edge: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = cxr_edge("serve", "--port", taken.getsockname()[1])
    assert outcome.code == 2
    assert "Address already in use; choose another --host or --port" in outcome.err
    assert outcome.err.count("\n") == 1


def test_missing_extra_is_named(cxr_edge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    for name in [name for name in sys.modules if name.startswith("cxr_edge.serving")]:
        monkeypatch.delitem(sys.modules, name)
    outcome = cxr_edge("serve")
    assert outcome.code == 1
    assert "run: pip install 'cxr-edge[serve]'" in outcome.err
