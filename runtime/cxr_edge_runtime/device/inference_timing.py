"""Load time, latency and memory of a bundle, for each number of threads in its own process.

As a program, ``python -m cxr_edge_runtime.device.inference_timing BUNDLE THREADS [ENGINE]`` prints
its measurements as JSON.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.engines import open_engine
from cxr_edge_runtime.errors import EngineError
from cxr_edge_runtime.locator import open_locator
from cxr_edge_runtime.preprocess import LOCATOR_SIDE
from cxr_edge_runtime.typed_json import from_json, parse_json

_WARM_UP, _LEAST, _MOST, _ENOUGH_S = 5, 20, 200, 3.0


@dataclass(frozen=True, slots=True)
class Timing:
    """The measurements of one process.

    An inference is that of the model and, where the bundle has one, of the lung locator before it.
    None includes decoding or scaling.

    Attributes:
        threads: number of threads of the engine.
        load_ms: milliseconds from the folder to loaded models, digests checked.
        first_ms: milliseconds of the first inference.
        p50_ms: median milliseconds of one inference once the engine is warm.
        p95_ms: 95th percentile of the same.
        p99_ms: 99th percentile of the same; rough, since there may be only 20 inferences.
        peak_memory_mb: the peak of the whole process, interpreter and numpy included, in units of
            2**20 bytes.
        waited: share of these inferences' time in which the thread that asked for them did not run:
            another program had the processor or, with several threads, it waited for the others. 0
            where an earlier version measured.
    """

    threads: int
    load_ms: float
    first_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    peak_memory_mb: float
    waited: float = 0.0


def measure(bundle: Path, *, threads: Sequence[int], engine: str | None = None) -> list[Timing]:
    """Measure a bundle with each of several numbers of threads, one after the other.

    Args:
        bundle: its folder.
        threads: the numbers of threads of the engine.
        engine: see :func:`cxr_edge_runtime.engines.open_engine`.

    Raises:
        EngineError: the model cannot be loaded or run.
    """
    timings = []
    more = [engine] if engine else []
    for number in threads:
        done = subprocess.run(
            [sys.executable, "-P", "-m", __name__, str(bundle), str(number), *more],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            # Of a traceback the last line says what was wrong.
            lines = done.stderr.strip().splitlines()
            ended = f"the process ended with exit status {done.returncode}"
            said = lines[-1][-300:] if lines else ended
            raise EngineError(f"{bundle}: cannot be measured ({said})")
        timings.append(from_json(Timing, parse_json(done.stdout)))
    return timings


def _measure_here(folder: Path, threads: int, engine_name: str | None) -> dict[str, Any]:
    started = time.perf_counter()
    bundle = Bundle.load(folder)
    engine = open_engine(bundle, threads=threads, engine=engine_name)
    locator = open_locator(bundle, threads=threads, engine=engine_name)
    load = time.perf_counter() - started
    random = np.random.default_rng(0)
    image = random.integers(0, 256, bundle.manifest.input.shape, dtype=np.uint8)
    film = random.integers(0, 256, (LOCATOR_SIDE, LOCATOR_SIDE), dtype=np.uint8)

    def infer() -> None:
        if locator is not None:
            locator.lungs(film)
        engine.run(image)

    before = time.perf_counter()
    infer()
    first = time.perf_counter() - before
    for _ in range(_WARM_UP):
        infer()
    seconds: list[float] = []
    begun, ran = time.perf_counter(), time.thread_time()
    while len(seconds) < _LEAST or (
        len(seconds) < _MOST and time.perf_counter() - begun < _ENOUGH_S
    ):
        before = time.perf_counter()
        infer()
        seconds.append(time.perf_counter() - before)
    ran, took = time.thread_time() - ran, time.perf_counter() - begun
    p50, p95, p99 = (round(float(s) * 1000, 3) for s in np.percentile(seconds, [50, 95, 99]))
    return asdict(
        Timing(
            threads,
            load_ms=round(load * 1000, 2),
            first_ms=round(first * 1000, 3),
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            peak_memory_mb=round(peak_memory_mb(), 1),
            waited=round(max(0.0, 1 - ran / took), 3),
        )
    )


def peak_memory_mb() -> float:
    """The most memory that this process has had so far, in units of 2**20 bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its peak begins with that of the process that started this one.
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    _folder, _threads, *_engine = sys.argv[1:]
    _measured = _measure_here(Path(_folder), int(_threads), _engine[0] if _engine else None)
    print(json.dumps(_measured))
