import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from cxr_edge import cli
from cxr_edge.command_table import COMMANDS


def test_help_lists_every_command_and_the_notice(cxr_edge: Any) -> None:
    outcome = cxr_edge("--help")
    assert outcome.code == 0
    for command in COMMANDS:
        [line] = [line for line in outcome.out.splitlines() if line.startswith(f"  {command} ")]
        assert line.endswith("."), "its first sentence is too long for one line"
        assert not line.endswith("...")
    assert "Research use only. Not a medical device." in outcome.out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(cxr_edge: Any, command: str) -> None:
    outcome = cxr_edge(command, "--help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: cxr-edge {command}")
    assert outcome.out.splitlines()[2].startswith(f"  {COMMANDS[command].summary}")


@pytest.mark.parametrize("before", [[], ["--"]])
def test_command_that_help_only_lists_is_the_command_where_it_is_meant(
    cxr_edge: Any, before: list[str]
) -> None:
    outcome = cxr_edge(*before, "classify", "nowhere.png")
    assert outcome.code == 1
    assert "nowhere.png: no such file" in outcome.err + outcome.out


def test_help_loads_neither_numpy_nor_an_engine() -> None:
    program = (
        "import sys\nfrom cxr_edge.cli import main\nsys.argv = ['cxr-edge', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = ('numpy', 'PIL', 'ai_edge_litert', 'keras', 'tensorflow', 'pandas', 'rich')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert output.stdout.splitlines()[-1] == "[]", output.stderr


def test_version_names_the_engines_too(cxr_edge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = cxr_edge("--version").out.splitlines()
    assert lines[0].startswith("cxr-edge 0.")
    assert lines[1].startswith(f"python {platform.python_version()}, ")
    assert f"ai-edge-litert {metadata.version('ai-edge-litert')}" in lines
    assert "tflite-runtime is not installed" in lines


def test_shell_completes_commands_and_options(cxr_edge: Any) -> None:
    def completed(words: str) -> str:
        environment = os.environ | {
            "_CXR_EDGE_COMPLETE": "complete_bash", "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }  # fmt: skip
        command = "import sys; sys.argv = ['cxr-edge']; from cxr_edge.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", command], capture_output=True, text=True, env=environment
        ).stdout

    assert completed("cxr-edge class").split() == ["classify"]
    assert "--heatmap" in completed("cxr-edge classify --he").split()
    assert "complete_bash" in cxr_edge("--show-completion", "bash").out


@pytest.mark.parametrize("arguments", [["classify"], ["nonsense"], ["classify", "--nonsense", "a"]])
def test_wrong_usage_is_exit_2(cxr_edge: Any, arguments: list[str]) -> None:
    outcome = cxr_edge(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("pandas", ["clean", "."], "train"),
        ("sklearn", ["split", "m.csv"], "train"),
        ("seaborn", ["eda", "m.csv"], "train"),
        ("keras", ["train", "m.csv"], "train"),
        ("keras", ["convert", "run", "-o", "out"], "convert"),
        ("pandas", ["evaluate", "mobilenetv2-int8", "m.csv"], "train"),
    ],
)
def test_missing_extra_answers_with_the_line_that_installs_it(
    module: str, arguments: list[str], extra: str
) -> None:
    # In a process of its own: here the package is loaded already.
    program = f"import sys\nsys.modules['{module}'] = None\nfrom cxr_edge.cli import main\nmain()"
    output = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert output.returncode == 1
    assert f"run: pip install '.[{extra}]' in the checkout" in output.stderr
    assert output.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("module", "arguments"),
    [("fcntl", ["install", "x.zip", "--unsigned"]), ("fcntl", ["watch", "x", "--to", "y"]),
     ("resource", ["benchmark"])],
)  # fmt: skip
def test_command_that_windows_cannot_have_says_so(
    module: str, arguments: list[str], tmp_path: Path
) -> None:
    program = f"import sys\nsys.modules['{module}'] = None\nfrom cxr_edge.cli import main\nmain()"
    output = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert output.returncode == 2
    assert output.stderr == (
        f"cxr-edge: {arguments[0]} does not run on {sys.platform}: it needs Linux or macOS\n"
    )


@pytest.mark.parametrize("arguments", [["classify", "data/samples"], ["selftest"], ["info"]])
def test_commands_for_every_system_do_without_what_windows_lacks(arguments: list[str]) -> None:
    program = (
        "import sys\nsys.modules['fcntl'] = sys.modules['resource'] = None\n"
        "from cxr_edge.cli import main\nmain()"
    )
    output = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert output.returncode == 0, output.stderr


def test_full_disk_is_one_line(cxr_edge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device", "splits.csv")

    monkeypatch.setattr(cli, "_app", lambda arguments: full)
    outcome = cxr_edge("split")
    assert outcome.code == 1
    assert outcome.err == "cxr-edge: splits.csv: No space left on device\n"


def test_python_dash_m_runs_the_same() -> None:
    output = subprocess.run(
        [sys.executable, "-m", "cxr_edge", "--version"], capture_output=True, text=True
    )
    assert output.stdout.startswith("cxr-edge ")


@pytest.mark.parametrize("words", [["-h"], ["classify", "-h"]])
def test_short_form_of_help(cxr_edge: Any, words: list[str]) -> None:
    outcome = cxr_edge(*words)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == cxr_edge(*words[:-1], "--help").out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_examples_that_the_command_takes(cxr_edge: Any, command: str) -> None:
    _, _, examples = cxr_edge(command, "--help").out.partition("\n  Examples:\n")
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    assert lines == list(COMMANDS[command].examples)
    for line in lines:
        assert line.startswith(f"cxr-edge {command}")
        # With --help behind it nothing is run, and an option that does not exist is an error.
        outcome = cxr_edge(*shlex.split(line)[1:], "--help")
        assert outcome.code == 0, outcome.err


def test_ctrl_c_says_what_is_saved_and_how_to_go_on(
    cxr_edge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cxr_edge.train", interrupted)
    outcome = cxr_edge("train", "m.csv")
    assert outcome.code == 130
    assert outcome.err.splitlines()[-1] == (
        "cxr-edge: stopped; every epoch that ended is saved; the same command resumes"
    )
    monkeypatch.setattr("cxr_edge.split", interrupted)
    outcome = cxr_edge("split", "m.csv")
    assert (outcome.code, outcome.err) == (
        130, "cxr-edge: stopped; each output is complete or was not written\n",
    )  # fmt: skip


def test_parameter_that_a_message_names_is_an_option_here(cxr_edge: Any, tmp_path: Path) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    outcome = cxr_edge("classify", tmp_path / "deep")
    assert outcome.err.endswith("; search its subfolders too (--recursive)\n")
