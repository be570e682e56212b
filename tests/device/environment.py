"""Virtual environments with the wheel in them, of this computer's Python and of an emulated one."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from memory import Finished, run
from report import Failed, NotRun

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data" / "samples"

# A Raspberry Pi has four cores, and as many images are under way at once; each takes its memory.
DEVICE_CORES = 4


@dataclass(frozen=True)
class Answer:
    """What ``classify`` says of an image; ``box`` is where it found the lungs, if it looked."""

    label: str
    probability: float
    box: dict[str, float] | None

    def __str__(self) -> str:
        """It in one line."""
        box = "  box " + " ".join(f"{side:.3f}" for side in self.box.values()) if self.box else ""
        return f"{self.label:<9}  {self.probability:.4f}{box}"


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and how its commands run."""

    folder: Path
    # The emulator's name of a processor; the emulator reads it from QEMU_CPU.
    cpu: str | None = None
    limit_mb: int | None = None

    @property
    def python(self) -> Path:
        """Its Python, as an absolute path."""
        return self.folder / "bin" / "python"

    def run(self, *command: str | Path) -> Finished:
        """Run a command, where no file of the checkout is in the way, to its success.

        Raises:
            Failed: it failed.
        """
        with tempfile.TemporaryDirectory() as empty:
            done = run(
                [*command],
                limit_mb=self.limit_mb,
                variables={"QEMU_CPU": self.cpu} if self.cpu else {},
                folder=Path(empty),
            )
        if done.out_of_memory:
            raise Failed(f"stopped by the memory limit of {self.limit_mb} MB")
        if done.code:
            said = done.err.strip().splitlines() or ["and said nothing"]
            raise Failed("\n      ".join([f"exit code {done.code}", *said[-10:]]))
        return done

    def cxr_edge(self, *arguments: str | Path) -> Finished:
        """Run the installed command."""
        return self.run(self.folder / "bin" / "cxr-edge", *arguments)

    def machine(self) -> str:
        """The architecture and the version that its Python believes in."""
        code = "import platform; print(platform.machine(), platform.python_version())"
        return self.run(self.python, "-c", code).out.strip()

    def install(self, wheel: Path, extras: str = "") -> Finished:
        """Install the wheel and all it depends on, in the versions the tests pass with.

        Args:
            wheel: the wheel's file.
            extras: such as ``[onnx,serve]``.
        """
        return pip(
            self,
            *("--python", self.python, "install", "--only-binary=:all:"),
            *("--constraint", ROOT / "constraints.txt", f"{wheel}{extras}"),
        )

    def size_mb(self) -> int:
        """What is installed, on disk."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return sum(path.stat().st_blocks * 512 for path in files) // 2**20

    def located_bundle(self, folder: Path) -> Path:
        """Make a bundle with a lung locator."""
        self.run(self.python, Path(__file__).with_name("located.py"), folder)
        return folder

    def answers(self, *options: str | Path) -> tuple[dict[str, Answer], Finished]:
        """What ``classify`` says of each sample image, by its name.

        Raises:
            Failed: it failed, or left an image without an answer.
        """
        # The samples are drawn, so that the input gate may reject them.
        done = self.cxr_edge(
            *("classify", "--json", "--force", "--threads", str(DEVICE_CORES)), *options, SAMPLES
        )
        results = [json.loads(line) for line in done.out.splitlines()]
        if any(each.get("label") is None for each in results):
            raise Failed(f"an image got no answer: {done.out}")
        return {
            Path(each["file"]).name: Answer(each["label"], each["probability"], each["box"])
            for each in results
        }, done


def native_environment(folder: Path) -> Environment:
    """An empty environment of the Python that runs this."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return Environment(folder)


def emulated_environment(folder: Path, emulator: Path, files: Path, python: str) -> Environment:
    """An empty environment of an emulated Python.

    It is made by hand, since its ``bin/python`` is a script that starts the emulator: so the
    commands that pip installs work as they are, and this computer's kernel need not learn to start
    programs of another architecture, which would take root and concern all its users.
    """
    (folder / "lib" / f"python{python}" / "site-packages").mkdir(parents=True)
    (folder / "bin").mkdir()
    real = files / "usr" / "bin" / f"python{python}"
    (folder / "pyvenv.cfg").write_text(
        f"home = {real.parent}\ninclude-system-site-packages = false\n"
    )
    environment = Environment(folder)
    # -0: Python finds its environment by the name it was started with.
    environment.python.write_text(
        f'#!/bin/sh\nexec "{emulator}" -L "{files}" -0 "$0" "{real}" "$@"\n'
    )
    environment.python.chmod(0o755)
    return environment


def build_wheel(folder: Path) -> Path:
    """The wheel of the checkout."""
    here = Environment(Path(sys.prefix))
    pip(here, "wheel", "--no-deps", "--wheel-dir", folder, ROOT)
    return next(folder.glob("cxr_edge-*.whl"))


def pip(environment: Environment, *arguments: str | Path) -> Finished:
    """Run this Python's pip, as the environment's commands run.

    Raises:
        NotRun: it failed, and no package can be had here.
        Failed: it failed all the same: on a device it would, too.
    """
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    try:
        return environment.run(*command, *arguments)
    except Failed:
        with tempfile.TemporaryDirectory() as folder:
            probe = [*command, "download", "--no-deps", "--no-cache-dir", "--dest", folder, "typer"]
            done = subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1]
            raise NotRun(f"pip can fetch no package here: {reason}") from None
        raise
