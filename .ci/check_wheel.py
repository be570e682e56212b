"""Compare the wheel's file list with the packages in the tree, both ways."""

import subprocess
import sys
import zipfile
from pathlib import PurePosixPath

# Package in the wheel: folder in the tree that holds it.
PACKAGES = {
    "cxr_edge": "",
    "cxr_edge_runtime": "runtime/",
    "cxr_edge_train": "train/",
    "cxr_edge_convert": "convert/",
    "cxr_edge_models": "models/",
}


def main() -> None:
    """Exit 1 with the differing names; hatchling leaves out what .gitignore names, silently."""
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(
        ["git", "ls-files", "-z", *(f"{PACKAGES[name]}{name}" for name in PACKAGES)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    expected = {
        path.removeprefix(folder)
        for path in tracked
        for name, folder in PACKAGES.items()
        if path and PurePosixPath(path.removeprefix(folder)).parts[0] == name
    }
    for title, difference in (
        ("in the tree, not in the wheel", expected - names),
        ("in the wheel, not in the tree", names - expected),
    ):
        for name in sorted(difference):
            print(f"{title}: {name}")
    if expected != names:
        sys.exit(1)
    print(f"{len(names)} files, the same in both")


if __name__ == "__main__":
    main()
