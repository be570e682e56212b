"""Kill an install or a rollback at every step and see what is left.

    python tests/support/killed_install.py FOLDER NEW.cxr.zip install|rollback

FOLDER, which may be missing, is how the device looks before. For each step, in a copy: a child
process is killed right before it, then NEW is installed as anybody would after a power failure.
Prints a line of JSON for each. A step is what changes the folder, of which Python tells an audit
hook before it happens, or makes the disk write.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cxr_edge.bundles.install import install, roll_back
from cxr_edge.bundles.lookup import CURRENT
from cxr_edge_runtime.bundle import Bundle

_STEPS = {"os.rename", "os.mkdir", "os.symlink", "os.remove", "os.rmdir", "os.truncate", "os.fsync"}
_WRITING = os.O_WRONLY | os.O_RDWR


def killed_at(step: int, act: Callable[[], object], report: int) -> bool:
    """Act in a child that is killed right before its step of this number; False: it got through."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if event not in _STEPS and not (event == "open" and arguments[2] & _WRITING):
                return
            seen += 1
            if seen == step:
                names = [Path(str(argument)).name for argument in arguments[:2]]
                os.write(report, " ".join([event, *names]).encode())
                os.kill(os.getpid(), signal.SIGKILL)

        sync = os.fsync

        def counted_sync(descriptor: int) -> None:
            count("os.fsync", (Path(f"/proc/self/fd/{descriptor}").readlink(),))
            sync(descriptor)

        os.fsync = counted_sync
        sys.addaudithook(count)
        act()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def in_use(folder: Path) -> str | None:
    """The version of the bundle in use, which must be whole; None where there is none."""
    link = folder / CURRENT
    return Bundle.load(link).manifest.version if os.path.lexists(link) else None


def main() -> None:
    before, archive = Path(sys.argv[1]), Path(sys.argv[2])
    acts = {
        "install": lambda folder: install(
            archive, folder, check=None, smoke_test=lambda bundle: None
        ),
        "rollback": roll_back,
    }
    killed, step = True, 0
    while killed:
        step += 1
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "bundles")
            if before.exists():
                shutil.copytree(before, folder, symlinks=True)
            reading, writing = os.pipe()
            killed = killed_at(step, partial(acts[sys.argv[3]], folder), writing)
            os.close(writing)
            with os.fdopen(reading) as told:
                event = told.read()
            survived = in_use(folder)
            acts["install"](folder)
            print(
                json.dumps(
                    {
                        "killed": killed,
                        "before": event,
                        "in_use": survived,
                        "then_in_use": in_use(folder),
                        "left": sorted(path.name for path in folder.iterdir()),
                    }
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
