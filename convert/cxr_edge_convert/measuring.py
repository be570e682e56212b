"""Load time, latency and memory of a bundle, each number of threads in a process of its own.

As a program, ``python -m cxr_edge_convert.measuring BUNDLE THREADS`` prints what it measured as
JSON. It imports the runtime alone, as a device does.
"""

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.engines import open_engine
from cxr_edge_runtime.errors import EngineError

THREADS = (1, 2)
_WARM_UP, _LEAST, _MOST, _ENOUGH_S = 5, 20, 200, 3.0


@dataclass(frozen=True, slots=True)
class Timing:
    """What one process measured.

    Attributes:
        threads: of the engine.
        load_ms: from the folder to a loaded model, digests checked.
        p50_ms: median of one inference, decoding and preprocessing left out.
        p95_ms: 95th percentile.
        peak_memory_mb: of the whole process, interpreter and numpy included.
    """

    threads: int
    load_ms: float
    p50_ms: float
    p95_ms: float
    peak_memory_mb: float


def measure(bundle: Path) -> list[Timing]:
    """Measure a bundle with each of :data:`THREADS`.

    Raises:
        EngineError: the model cannot be loaded or run.
    """
    timings = []
    for threads in THREADS:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(bundle), str(threads)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise EngineError(f"{bundle}: cannot be measured ({done.stderr.strip()[-300:]})")
        timings.append(Timing(**json.loads(done.stdout)))
    return timings


def _measure_here(folder: Path, threads: int) -> dict[str, Any]:
    started = time.perf_counter()
    bundle = Bundle.load(folder)
    engine = open_engine(bundle, threads=threads)
    load = time.perf_counter() - started
    image = np.random.default_rng(0).integers(0, 256, bundle.manifest.input.shape, dtype=np.uint8)
    for _ in range(_WARM_UP):
        engine.run(image)
    seconds: list[float] = []
    begun = time.perf_counter()
    while len(seconds) < _LEAST or (
        len(seconds) < _MOST and time.perf_counter() - begun < _ENOUGH_S
    ):
        before = time.perf_counter()
        engine.run(image)
        seconds.append(time.perf_counter() - before)
    p50, p95 = np.percentile(seconds, [50, 95]) * 1000
    return asdict(
        Timing(
            threads,
            round(load * 1000, 2),
            round(float(p50), 3),
            round(float(p95), 3),
            round(_peak_memory_mb(), 1),
        )
    )


def _peak_memory_mb() -> float:
    """Megabytes (2**20 bytes) this process had in memory at most."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its peak begins with that of the process that started this one.
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    print(json.dumps(_measure_here(Path(sys.argv[1]), int(sys.argv[2]))))
