"""What docs/updating-devices.md and its playbook say is so."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cxr_edge_runtime.bundle import Bundle

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
