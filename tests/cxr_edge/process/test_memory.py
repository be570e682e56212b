import ctypes
import platform
import subprocess
import sys

import pytest

from cxr_edge.process.memory import fix_mmap_threshold

# Six megabytes are freed, then as many asked for again: where the C library keeps what it was given
# back, the process stays that large.
_PROGRAM = """
import sys
import ctypes
from cxr_edge.process.memory import fix_mmap_threshold
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
if sys.argv[1] == "return":
    fix_mmap_threshold()
libc.free(libc.malloc(6_000_000))  # raises glibc's own limit
film = libc.malloc(6_000_000)
libc.memset(ctypes.c_void_p(film), 1, ctypes.c_size_t(6_000_000))
above = libc.malloc(1000)  # keeps glibc from trimming the end of its heap
libc.free(film)
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("RssAnon")))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc does")
def test_the_memory_of_a_film_goes_back_to_the_system() -> None:
    kept, returned = (
        int(subprocess.check_output([sys.executable, "-c", _PROGRAM, word])) * 1024
        for word in ("keep", "return")
    )

    assert kept - returned > 5_000_000


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())

    fix_mmap_threshold()
