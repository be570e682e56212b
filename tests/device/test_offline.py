"""docs/guides/offline.md word for word, its second part where no route leads anywhere.

It needs a network namespace. Where ALL_NEEDED is set, as .ci/full sets it, that there is none,
or no emulator, is a failure.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import debian
from environment import emulated_environment
from report import NotRun
from scripts import ROOT

PAGE = (ROOT / "docs" / "guides" / "offline.md").read_text(encoding="utf-8")
[ONLINE, DEVICE] = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
ALONE = ["unshare", "--map-root-user", "--net"]
PYTHON, CPU = "3.13", "cortex-a53"

pytestmark = pytest.mark.slow


def not_here(why: str) -> None:
    assert "ALL_NEEDED" not in os.environ, why
    pytest.skip(why)


def run(script: str, folder: Path, *, alone: bool = False, **environment: str) -> str:
    """Run lines of shell to the success of each; alone, without a route and pip's settings."""
    variables = {name: value for name, value in os.environ.items() if name[:4] != "PIP_"}
    if alone:
        variables["PIP_CONFIG_FILE"] = os.devnull
    done = subprocess.run(
        [*(ALONE if alone else []), "bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=(variables if alone else os.environ) | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first part brings, for this computer and for the device: its folders by name."""
    if not shutil.which("unshare") or subprocess.run([*ALONE, "true"]).returncode:
        not_here("no network namespace can be made here")
    folder = tmp_path_factory.mktemp("stick")
    key, public = folder / "key.pem", folder / "path" / "to" / "key.pub.pem"
    public.parent.mkdir(parents=True)
    command = f"{sys.executable} -m cxr_edge"
    run(f"openssl genpkey -algorithm ed25519 -out {key}", folder)
    run(f"openssl pkey -in {key} -pubout -out {public}", folder)
    run(f"{command} pack tiny --sign {key} -o path/to/clinic.cxr.zip", folder)
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(sys.executable)
    environment = {"PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for name, lines in {"aarch64": ONLINE, "x86_64": here(ONLINE)}.items():
        checkout = folder / name
        shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(".*", "float", "tests"))
        (checkout / "path").symlink_to(folder / "path")
        # An alias of the environment's Python would be another environment.
        run(lines.replace("python3 ", f"{sys.executable} "), checkout, **environment)
    return folder


def here(lines: str) -> str:
    """The page's other device: this computer."""
    major, minor = sys.version_info[:2]
    return lines.replace("aarch64", "x86_64").replace("version 3.13", f"version {major}.{minor}")


def test_second_part_works_without_a_route(stick: Path, tmp_path: Path) -> None:
    said = run(
        DEVICE.replace("python3 ", f"{sys.executable} "),
        stick / "x86_64" / "offline", alone=True, HOME=str(tmp_path),
    )  # fmt: skip
    assert "tiny" in said
    assert "FAILED" not in said
    used = run(
        f"~/cxr/bin/cxr-edge classify {ROOT / 'data' / 'samples'}",
        tmp_path, alone=True, HOME=str(tmp_path),
    )  # fmt: skip
    assert "Model: tiny" in used


def test_second_part_works_as_aarch64_code_without_a_route(stick: Path, tmp_path: Path) -> None:
    try:
        emulator, files = debian.emulator(), debian.aarch64_files(PYTHON)
    except NotRun as reason:
        not_here(str(reason))
    # The emulator cannot copy with ensurepip, so the environment is made and pip is this one's.
    environment = emulated_environment(tmp_path / "cxr", emulator, files, PYTHON)
    [pip] = (Path(os.__file__).parent / "ensurepip" / "_bundled").glob("pip-*.whl")
    script = environment.folder / "bin" / "pip"
    script.write_text(f'#!/bin/sh\nexec "{environment.python}" "{pip}/pip" "$@"\n')
    script.chmod(0o755)
    lines = [line for line in DEVICE.splitlines() if "-m venv" not in line]
    said = run(
        "\n".join(lines), stick / "aarch64" / "offline",
        alone=True, HOME=str(tmp_path), QEMU_CPU=CPU,
    )  # fmt: skip
    assert "tiny" in said
    assert "FAILED" not in said
