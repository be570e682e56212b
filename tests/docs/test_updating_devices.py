"""What docs/updating-devices.md and its playbook say is so."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cxr_edge.bundles.install import install
from cxr_edge.bundles.signing import sign
from cxr_edge_runtime.bundle import Bundle
from installable import make_archive, make_bundle

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "updating-devices.md").read_text(encoding="utf-8")
PLAYBOOK = (DOCS / "update-devices.yml").read_text(encoding="utf-8")
[PLAY] = yaml.safe_load(PLAYBOOK)


def options_of(command: str) -> set[str]:
    line = [sys.executable, "-m", "cxr_edge", command, "--help"]
    shown = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"--[a-z][a-z-]+", shown))


def tasks(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All tasks, those in blocks and their rescue, too."""
    found = []
    for entry in entries:
        inner = [*entry.get("block", []), *entry.get("rescue", [])]
        found += tasks(inner) if inner else [entry]
    return found


def test_what_the_page_types_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    # Where pip has put cxr-edge.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    first, *blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 3
    said = ""
    for block in (first, *blocks):
        for line in block.splitlines():
            ended = subprocess.run(
                ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True
            )
            said += ended.stdout
            if "--rollback" in line:
                assert "no bundle to go back to" in ended.stderr
            else:
                assert ended.returncode == 0, f"{line}: {ended.stderr}"
    for words in (
        "signed: with the private key of key.pub.pem",
        "Signature Verified Successfully",
        "installed  tiny",
        f"from       {tmp_path}/data/cxr-edge/bundles/0001",
    ):
        assert words in said
    assert Bundle.load(tmp_path / "unpacked").manifest.name == "tiny"


def test_every_command_of_the_page_has_these_options() -> None:
    lines = [
        line for line in PAGE.splitlines() if re.search(r"cxr-edge (pack|ver|inst|serve)", line)
    ]
    commands = [re.search(r"cxr-edge ([a-z]+)( [^`|]*)?", line) for line in lines]
    assert len(commands) >= 6
    for found in commands:
        assert found is not None
        used = set(re.findall(r"--[a-z][a-z-]+", found[2] or ""))
        assert used <= options_of(found[1]), found[0]


def test_exec_start_is_that_of_the_unit_with_a_bundle() -> None:
    unit = (DOCS / "cxr-edge.service").read_text()
    [start] = re.findall(r"^ExecStart=.*", unit, re.MULTILINE)
    assert f"ExecStart=\n{start} --bundle /var/lib/cxr-edge-bundles/current\n" in PAGE
    assert PLAY["vars"]["bundles"] == "/var/lib/cxr-edge-bundles"
    assert start.split("=")[1].startswith(PLAY["vars"]["cxr_edge"])


def test_page_shows_the_playbook() -> None:
    assert f"```yaml\n{PLAYBOOK}```\n" in PAGE


def test_playbook_calls_install_with_options_that_exist() -> None:
    command = "ansible.builtin.command"
    calls = [task[command]["argv"] for task in tasks(PLAY["tasks"]) if command in task]
    installs = [call for call in calls if "install" in call]
    assert [call[:2] for call in installs] == [["{{ cxr_edge }}", "install"]] * 2
    used = {word for call in installs for word in call if word.startswith("--")}
    assert used == {"--key", "--into", "--rollback"}
    assert used <= options_of("install")


def test_every_task_of_the_playbook_has_a_name_and_every_variable_a_value() -> None:
    for task in tasks(PLAY["tasks"]):
        assert task["name"]
    known = {*PLAY["vars"], "archive", "item", "digest"}
    registered = {task["register"] for task in tasks(PLAY["tasks"]) if "register" in task}
    used = set(re.findall(r"\{\{ \(?([a-z_]+)", PLAYBOOK))
    assert used <= known | registered


# In the place of `systemctl restart cxr-edge`: ends well whether the server comes up or not.
RESTART = """
import json, os, signal, subprocess, sys
from pathlib import Path
place, port = Path(sys.argv[1]), sys.argv[2]
pid = place / "pid"
if pid.exists():
    os.kill(int(pid.read_text()), signal.SIGKILL)
    pid.unlink()
if "bad" not in json.loads((place / "bundles/current/bundle.json").read_text())["version"]:
    server = subprocess.Popen(
        [sys.executable, str(place / "server.py"), str(place / "bundles/current"), port],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    pid.write_text(str(server.pid))
"""
SERVER = """
import hashlib, http.server, json, sys
from pathlib import Path
manifest = Path(sys.argv[1], "bundle.json").read_bytes()
body = json.dumps({"sha256": hashlib.sha256(manifest).hexdigest()}).encode()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""


class Device:
    """This computer in the place of a device, with a server that any bundle called bad breaks."""

    def __init__(self, place: Path, golden: Path) -> None:
        self.place, self.golden, self.bundles = place, golden, place / "bundles"
        self.signer = Ed25519PrivateKey.generate()
        public = self.signer.public_key()
        (place / "key.pub.pem").write_bytes(
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        (place / "cxr-edge").write_text(f'#!/bin/sh\nexec {sys.executable} -m cxr_edge "$@"\n')
        (place / "cxr-edge").chmod(0o755)
        (place / "restart.py").write_text(RESTART)
        (place / "server.py").write_text(SERVER)
        (place / "hosts.ini").write_text("[devices]\nhere ansible_connection=local\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])

    def archive(self, version: str) -> Path:
        path = self.place / f"{version}.cxr.zip"
        if not path.exists():
            bundle = make_bundle(self.golden, self.place / version, version=version)
            make_archive(bundle, path, signature=sign(bundle.manifest_bytes(), self.signer))
        return path

    def digest(self, version: str) -> str:
        return Bundle.load(self.place / version).digest

    def update(self, version: str) -> tuple[bool, str]:
        """Run the playbook; whether it ended well, and all that it said."""
        variables = {
            "archive": str(self.archive(version)),
            "key": str(self.place / "key.pub.pem"),
            "cxr_edge": str(self.place / "cxr-edge"),
            "bundles": str(self.bundles),
            "settings": str(self.place / "settings"),
            "cache": str(self.place / "cache"),
            "restart": [sys.executable, str(self.place / "restart.py"), str(self.place), self.port],
            "server": f"http://127.0.0.1:{self.port}",
            "patience": 6,
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
        }
        (self.place / "variables.yml").write_text(yaml.safe_dump(variables))
        (self.place / "play.yml").write_text(PLAYBOOK)
        ended = subprocess.run(
            ["ansible-playbook", "-i", "hosts.ini", "-e", "@variables.yml", "play.yml"],
            cwd=self.place,
            capture_output=True,
            text=True,
            env={**os.environ, "ANSIBLE_HOME": str(self.place / "ansible"), "LC_ALL": "C.UTF-8"},
        )
        return ended.returncode == 0, ended.stdout + ended.stderr

    def in_use(self) -> str:
        return Bundle.load(self.bundles / "current").manifest.version

    def stop_server(self) -> None:
        pid = self.place / "pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGKILL)
            pid.unlink()


@pytest.fixture
def device(tmp_path: Path, golden_bundle: Path) -> Iterator[Device]:
    if shutil.which("ansible-playbook") is None:
        pytest.skip("Ansible is not here")
    device = Device(tmp_path, golden_bundle)
    yield device
    device.stop_server()


def test_playbook_brings_one_bundle_after_the_other(device: Device) -> None:
    for version in ("1", "2"):
        well, said = device.update(version)
        assert well, said
        assert device.in_use() == version
    well, said = device.update("2")
    assert well, said
    assert " changed=0 " in said


def test_playbook_says_that_a_bad_first_bundle_stays(device: Device) -> None:
    for _ in range(2):  # the second time it is installed already
        well, said = device.update("1-bad")
        assert not well
        assert "which stays installed: cxr-edge: " in said
        assert "no bundle to go back to; nothing was changed. The server answers nothing." in said
        assert device.in_use() == "1-bad"


@pytest.mark.parametrize("broken_off", ["never", "before the restart", "after the restart"])
def test_playbook_takes_a_bad_bundle_back(device: Device, broken_off: str) -> None:
    well, said = device.update("1")
    assert well, said
    if broken_off != "never":
        install(device.archive("2-bad"), device.bundles, check=None, smoke_test=lambda bundle: None)
    if broken_off == "after the restart":
        device.stop_server()
    well, said = device.update("2-bad")
    assert not well
    assert "which was taken back: back to    tiny-int8 1, digest " in said
    assert f"The server answers with {device.digest('1')}." in said
    assert device.in_use() == "1"
