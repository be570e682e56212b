"""Print the lowest declared version of each package of the base and of extras, as pip constraints.

python .ci/lowest_versions.py onnx dicom > lowest.txt
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def lowest(extras: list[str]) -> list[str]:
    """Constraints such as ``typer==0.20``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"]]
    for extra in extras:
        needed += project["optional-dependencies"][extra]
    found = []
    for requirement in needed:
        if requirement.startswith("cxr-edge["):
            continue
        name, low = re.match(r"([A-Za-z0-9_.-]+)(?:\[\w+\])?>=([0-9.]+)", requirement).groups()
        found.append(f"{name}=={low}")
    return found


if __name__ == "__main__":
    print("\n".join(lowest(sys.argv[1:])))
