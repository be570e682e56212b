"""The command lines of README.md and docs/, as a reader finds them."""

import itertools
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^( *)(`{3,})[^\n]*\n(.*?)^\1\2 *$", re.DOTALL | re.MULTILINE)
_WANTS = re.compile(r"^\| I want to .*?(?=^$|\Z)", re.DOTALL | re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")


@dataclass(frozen=True, slots=True)
class Command:
    """A call of ``cxr-edge`` that a page shows.

    Attributes:
        page: where it stands.
        words: what follows ``cxr-edge``.
        before: what stands before it, such as ``KERAS_BACKEND=jax``.
    """

    page: str
    words: tuple[str, ...]
    before: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """As it is typed."""
        return " ".join((*self.before, "cxr-edge", *self.words))


def blocks(text: str) -> list[str]:
    """What stands in fenced blocks, a line that goes on with a backslash as one."""
    return [found[2].replace("\\\n", " ") for found in _FENCE.findall(text)]


def commands_of(page: Path) -> list[Command]:
    """Those of its blocks, and of a table whose first heading is *I want to …*."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in blocks(text) for line in block.splitlines()]
    for table in _WANTS.findall(text):
        lines += [cell.replace(r"\|", "|") for cell in re.findall(r"`([^`]+)`", table)]
    name = page.relative_to(ROOT).as_posix()
    found = (_command(name, part) for line in lines for part in _simple_commands(line))
    return [command for command in found if command is not None]


def all_commands() -> list[Command]:
    """Of all pages, each line once."""
    found: dict[str, Command] = {}
    for page in PAGES:
        for command in commands_of(page):
            found.setdefault(command.line, command)
    return list(found.values())


def _simple_commands(line: str) -> list[list[str]]:
    """The words of each command of a line of shell; what goes to a pipe or a file is cut off."""
    words = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars="&;|<>")
    words.whitespace_split = True
    try:
        tokens = list(words)
    except ValueError:  # an apostrophe: this is a sentence that a command printed
        return []
    commands: list[list[str]] = [[]]
    cut = False
    for token in tokens:
        if token in ("&&", ";", "||", "&"):
            commands.append([])
            cut = False
        elif token in ("|", ">", ">>", "<", "|&", ">&"):
            cut = True
        elif not cut:
            commands[-1].append(token)
    return commands


def _command(page: str, words: list[str]) -> Command | None:
    before = list(itertools.takewhile(_ASSIGNMENT.fullmatch, words))
    rest = words[len(before) :]
    if not rest or not (rest[0] == "cxr-edge" or rest[0].endswith("/bin/cxr-edge")):
        return None
    return Command(page, tuple(rest[1:]), tuple(before))
