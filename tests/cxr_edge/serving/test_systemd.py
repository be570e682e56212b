import configparser
import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxr_edge.serving import systemd
from cxr_edge.serving.systemd import memory_limit_is_off
from serving import ROOT, running_server
from waiting import PATIENCE_S

HEAD = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE_S)
        yield listening


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_that_it_is_ready_alive_and_stopping(
    heard: socket.socket, tmp_path: Path, abstract: bool
) -> None:
    address = heard.getsockname()
    if abstract:
        heard.close()
        heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        heard.bind("\0" + str(tmp_path))
        heard.settimeout(PATIENCE_S)
        address = f"@{tmp_path}"
    with heard, running_server(NOTIFY_SOCKET=address, WATCHDOG_USEC="200000") as server:
        said = [heard.recv(100).decode() for _ in range(4)]
        assert said == ["READY=1", *["WATCHDOG=1"] * 3]
        assert server.stop(signal.SIGTERM) == 0
        heard.setblocking(False)
        while said[-1] == "WATCHDOG=1":
            said.append(heard.recv(100).decode())
        assert said[-1] == "STOPPING=1"


def test_server_runs_where_nobody_hears_it(tmp_path: Path) -> None:
    with running_server(NOTIFY_SOCKET=str(tmp_path / "gone")) as server:
        with urllib.request.urlopen(f"{server.address}/healthz") as response:
            assert response.status == 200
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("content", "controllers", "off"),
    [
        (f"{HEAD}cpu\t1\t1\t1\nmemory\t4\t68\t1\n", "", False),
        (f"{HEAD}cpu\t1\t1\t1\nmemory\t0\t1\t0\n", "", True),
        (f"{HEAD}cpu\t1\t1\t1\nmemory\t0\t1\t0\n", "cpuset cpu io pids\n", True),
        (f"{HEAD}cpu\t1\t1\t1\n", "cpuset cpu io memory pids\n", False),
    ],
)
def test_control_group_of_memory_is_looked_for_where_systemd_started_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, controllers: str, off: bool
) -> None:
    for name, text in (("_CGROUPS", content), ("_CONTROLLERS", controllers)):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(systemd, name, tmp_path / name)
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    assert not memory_limit_is_off()
    monkeypatch.setenv("INVOCATION_ID", "0" * 32)
    assert memory_limit_is_off() == off
    (tmp_path / "_CGROUPS").unlink()
    (tmp_path / "_CONTROLLERS").unlink()
    assert not memory_limit_is_off()


def test_unit_waits_for_the_words_of_the_server() -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.read(ROOT / "docs" / "cxr-edge.service")
    assert parser["Service"]["Type"] == "notify"
    assert int(parser["Service"]["WatchdogSec"]) == 60
