"""Run the built wheel as real aarch64 code: install, --help, classify, selftest in little memory.

Without options every Python of Raspberry Pi OS on every processor. Exit code 0: all was run and
passed; 1: a step failed; 77: none failed, but something could not be run here, and a line NOT RUN
says what and why.
"""

import argparse
import json
import platform
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import debian
from environment import (
    SAMPLES,
    Answer,
    Environment,
    build_wheel,
    emulated_environment,
    native_environment,
)
from memory import check_limit
from report import Failed, Report, Step

# The emulator's names, and who has such a processor. LiteRT chooses its kernels by it, so that each
# is a test of its own.
CPUS = {"cortex-a53": "Pi 3, Zero 2 W", "cortex-a72": "Pi 4", "cortex-a76": "Pi 5"}

# All the memory of a Zero 2 W.
LIMIT_MB = 512

# Those that have wheels for every Python and aarch64.
EXTRAS = "[dicom,drift,onnx,serve,signed]"
FILM = SAMPLES / "phantom_opacity_lobar.jpeg"

# Between an emulated and a native probability. LiteRT's kernels for these processors agree with
# those for x86-64 to five digits of the logit; its plain ones, which it takes where it knows no
# better, are up to 0.17 away, 0.04 of probability.
TOLERANCE = 0.05

# The native answers by the step's name and the image's.
Expected = dict[str, dict[str, Answer]]


def main() -> int:
    """Run what the options choose; the exit code."""
    options = _options()
    report = Report()
    print("Seconds are those of this computer, not a device's; MB is the most memory in use.\n")
    with tempfile.TemporaryDirectory(prefix="cxr-edge-device-") as name:
        work = Path(name)
        with report.step("memory limit") as limit:
            check_limit(options.memory)
            limit.note(f"{options.memory} MB for each command; what takes more is stopped")
        limit_mb = options.memory if limit.passed else None
        with report.step("wheel") as built:
            wheel = (options.wheel or build_wheel(work)).resolve()
            built.note(wheel.name)
        if built.passed:
            on_device = (platform.system(), platform.machine()) == ("Linux", "aarch64")
            run = _natively if on_device else _emulated
            run(options, report, wheel, work, limit_mb)
    return report.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests/device/run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--python", choices=[*debian.RELEASES], help="only this one")
    parser.add_argument("--cpu", choices=[*CPUS], help="only this one")
    parser.add_argument(
        "--memory", type=int, default=LIMIT_MB, metavar="MB", help="limit (default: %(default)s)"
    )
    parser.add_argument("--extras", action="store_true", help="install and use extras, too")
    parser.add_argument("--wheel", type=Path, help="a built one (default: the checkout's is built)")
    parser.add_argument(
        "--native",
        type=Path,
        metavar="VENV",
        help="an environment of this computer with the wheel in it (default: one is made)",
    )
    return parser.parse_args()


def _emulated(
    options: argparse.Namespace, report: Report, wheel: Path, work: Path, limit_mb: int | None
) -> None:
    with report.step("emulator") as step:
        emulator = debian.emulator()
        step.note(str(emulator))
    if not step.passed:
        return
    with report.step("native answer") as step:
        if options.native:
            native = Environment(options.native.resolve())
        else:
            native = native_environment(work / "native")
            native.install(wheel)
        located = native.located_bundle(work / "located")
        expected = {
            title: native.answers(*options)[0] for title, options in _bundles(located).items()
        }
        step.note(f"of {platform.machine()}, for the sample images, then on their lungs alone")
        for answers in expected.values():
            for name, answer in answers.items():
                step.note(f"{answer}  {name}")
    if not step.passed:
        return
    cpus = [options.cpu] if options.cpu else [*CPUS]
    for python in [options.python] if options.python else [*debian.RELEASES]:
        report.heading(f"Python {python}, of Debian {debian.RELEASES[python]}")
        with report.step("system") as step:
            files = debian.aarch64_files(python)
            environment = emulated_environment(work / python, emulator, files, python)
            environment = replace(environment, cpu=cpus[0], limit_mb=limit_mb)
            step.note(environment.machine())
            if not step.lines[0].startswith("aarch64 "):
                raise Failed("its Python is of another architecture")
        if not step.passed:
            continue
        with report.step("install") as step:
            _install(environment, wheel, step)
        if not step.passed:
            continue
        for cpu in cpus:
            report.heading(f"Python {python} on {cpu} ({CPUS[cpu]})")
            _commands(replace(environment, cpu=cpu), report, located, expected)
        if options.extras:
            report.heading(f"Python {python} on {cpus[-1]} with extras")
            _use_extras(replace(environment, cpu=cpus[-1], limit_mb=None), report, wheel)


def _natively(
    options: argparse.Namespace, report: Report, wheel: Path, work: Path, limit_mb: int | None
) -> None:
    """On a device: its own Python on its own processor, whatever the options choose."""
    report.heading(f"Python {platform.python_version()} on this computer, not emulated")
    environment = replace(native_environment(work / "native"), limit_mb=limit_mb)
    with report.step("install") as step:
        _install(environment, wheel, step)
        located = environment.located_bundle(work / "located")
    if step.passed:
        _commands(environment, report, located, None)
        if options.extras:
            _use_extras(replace(environment, limit_mb=None), report, wheel)


def _use_extras(environment: Environment, report: Report, wheel: Path) -> None:
    """In as much memory as they take: a chart of drift needs more than the smallest device has."""
    with report.step("install extras") as step:
        environment.install(wheel, EXTRAS)
        step.note(f"{EXTRAS}; {environment.size_mb()} MB on disk")
    if step.passed:
        with report.step("extras") as step:
            script = Path(__file__).with_name("extras.py")
            for line in environment.run(environment.python, script, FILM).out.splitlines():
                step.note(line)


def _install(environment: Environment, wheel: Path, step: Step) -> None:
    done = environment.install(wheel)
    step.note(f"{_memory(done.peak_mb)}; {environment.size_mb()} MB on disk")


def _bundles(located: Path) -> dict[str, tuple[str | Path, ...]]:
    """The steps that classify and their options: the shipped bundle, and one with a locator."""
    return {"classify": (), "lung box": ("--bundle", located)}


def _commands(
    environment: Environment, report: Report, located: Path, expected: Expected | None
) -> None:
    """What a user does on the device; ``expected`` are the native answers, where it is emulated."""
    with report.step("--help") as step:
        done = environment.cxr_edge("--help")
        if not re.search(r"^ +classify\b", done.out, re.MULTILINE):
            raise Failed("it does not list classify")
        step.note(_memory(done.peak_mb))
    for title, options in _bundles(located).items():
        with report.step(title) as step:
            answers, done = environment.answers(*options)
            for name, answer in answers.items():
                step.note(f"{answer}  {name}")
            compared = _compared(answers, expected[title]) if expected else ""
            step.lines.insert(0, _memory(done.peak_mb) + compared)
    with report.step("selftest") as step:
        done = environment.cxr_edge("selftest", "--json")
        found = json.loads(done.out)
        step.note(f"{_memory(done.peak_mb)}; {found['engine']}, {found['kernels']}")
        step.note(f"probabilities within {found['largest_shift']} of {found['made_with']}")


def _compared(answers: dict[str, Answer], expected: dict[str, Answer]) -> str:
    if [*answers] != [*expected]:
        raise Failed(f"it answered for {[*answers]}, natively for {[*expected]}")
    largest = max(abs(answers[name].probability - expected[name].probability) for name in expected)
    if any(answers[name].label != expected[name].label for name in expected):
        raise Failed("another label than natively")
    if any(answers[name].box != expected[name].box for name in expected):
        raise Failed("another box than natively")
    if largest > TOLERANCE:
        raise Failed(f"a probability differs by {largest:.4f} from the native one")
    return f"; the native labels and boxes, probabilities within {largest:.4f} (limit {TOLERANCE})"


def _memory(peak_mb: int | None) -> str:
    return "memory not measured" if peak_mb is None else f"{peak_mb} MB"


if __name__ == "__main__":
    sys.exit(main())
