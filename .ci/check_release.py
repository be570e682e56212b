"""Check that tag, version and changelog agree: ``check_release.py v0.2.0``."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """What keeps a tag from being released, in sentences; none where nothing does."""
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]
    found = []
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, but pyproject.toml has version {version}: tag v{version}")
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.match(r"## (\S+), (.*)\n", _newest(text))
    if heading is None or heading[1] != version:
        found.append(f"CHANGELOG.md does not begin with ## {version}, followed by the date")
    elif not re.fullmatch(r"\d{4}-\d{2}-\d{2}", heading[2]):
        found.append(f"CHANGELOG.md says that {version} is {heading[2]}: write the date there")
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    if f"version: {version}" not in citation:
        found.append(f"CITATION.cff does not have version: {version}")
    return found


def notes(root: Path = ROOT) -> str:
    """What the changelog says of the newest version."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    return _newest(text).partition("\n")[2].strip()


def _newest(changelog: str) -> str:
    """The first section, with its heading."""
    return "## " + re.split(r"^## ", changelog, flags=re.MULTILINE)[1]


def main() -> None:
    """Print what is wrong and exit with 1, or say that nothing is; or the notes, with --notes."""
    if sys.argv[1] == "--notes":
        print(notes())
        return
    found = problems(sys.argv[1])
    for sentence in found:
        print(sentence)
    if found:
        sys.exit(1)
    print(f"{sys.argv[1]} can be released")


if __name__ == "__main__":
    main()
