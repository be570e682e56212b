"""`cxr-edge serve` under load on loopback, against `classify` on the same folder.

    python benchmarks/serving.py FOLDER [--clients 16] [--rounds 5] [--requests 20000] [--small DIR]

Wanted: throughput at least 0.8 of the same workers without a server (measured in turn, start-up
excluded); the 99th percentile of a request under 10 times clients / workers times a single client's
median; no error; and over --requests requests with films of --small memory that grows by no more
than 5 MB after the first 500. The clients are a process of their own on the same cores. Only errors
and memory decide the exit code: on a busy machine the ratios say little.
"""

import argparse
import http.client
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.console.inputs import expand
from cxr_edge_runtime.batch import classify_all
from cxr_edge_runtime.classifier import Classifier

_SETTLED, _ALLOWED_MB = 500, 5


@contextmanager
def server(workers: int) -> Iterator[tuple[str, int]]:
    """The address and the process of a server."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cxr_edge", "serve", "--port", "0", "--threads", str(workers)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    errors = process.stderr
    try:
        found = next(filter(None, (re.search(r"http://(\S+)/ ", line) for line in errors)))
        # Nobody would read the log, and a full pipe would stop the server.
        threading.Thread(target=lambda: [None for _ in errors], daemon=True).start()
        yield found[1], process.pid
    finally:
        process.terminate()
        process.wait()


def load(address: str, films: Sequence[bytes], clients: int, requests: int) -> list[float]:
    """Seconds of each request; raises on any answer but 200."""
    seconds: list[float] = []
    wanted = iter(range(requests))
    lock = threading.Lock()
    failed: list[str] = []

    def client() -> None:
        connection = http.client.HTTPConnection(address, timeout=120)
        while not failed:
            with lock:
                number = next(wanted, None)
            if number is None:
                break
            begun = time.perf_counter()
            connection.request("POST", "/v1/classify", films[number % len(films)])
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                failed.append(f"{response.status} {body[:200]!r}")
            seconds.append(time.perf_counter() - begun)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        sys.exit(f"error: {failed[0]}")
    return seconds


def loaded_from_outside(
    address: str, folder: Path, clients: int, requests: int
) -> tuple[float, list[float]]:
    """Requests a second and the seconds of each, from a process of its own."""
    command = [sys.executable, __file__, str(folder), "--clients", str(clients)]
    command += ["--requests", str(requests), "--address", address]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found["rate"], found["seconds"]


def resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def without_server(films: Sequence[Path], workers: int) -> float:
    """Films a second of what `classify` does."""
    bundle = load_bundle(None)
    made = [Classifier(bundle) for _ in range(workers)]
    begun = time.perf_counter()
    done = sum(1 for _ in classify_all(((f, None) for f in films), made.pop, workers=workers))
    return done / (time.perf_counter() - begun)


def p99(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=100)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--small", type=Path, help="smaller films for the many requests")
    parser.add_argument("--address", help=argparse.SUPPRESS)  # the process of the clients
    arguments = parser.parse_args()
    films = [film for film, _ in expand([arguments.folder], recursive=True)][:500]
    if arguments.address:
        contents = [film.read_bytes() for film in films]
        begun = time.perf_counter()
        seconds = load(arguments.address, contents, arguments.clients, arguments.requests)
        rate = len(seconds) / (time.perf_counter() - begun)
        print(json.dumps({"rate": rate, "seconds": seconds}))
        return
    workers = len(os.sched_getaffinity(0))
    with server(workers) as (address, _):
        loaded_from_outside(address, arguments.folder, 2, 20)
        ratios, tails = [], []
        for _ in range(arguments.rounds):
            plain = without_server(films, workers)
            _, alone = loaded_from_outside(address, arguments.folder, 1, len(films))
            rate, many = loaded_from_outside(
                address, arguments.folder, arguments.clients, 2 * len(films)
            )
            ratios.append(rate / plain)
            tails.append(p99(many) / (arguments.clients / workers * statistics.median(alone)))
            print(
                f"{rate:.1f} requests a second, without a server {plain:.1f}; alone "
                f"{1000 * statistics.median(alone):.1f} ms, of {arguments.clients} p99 "
                f"{1000 * p99(many):.1f} ms",
                flush=True,
            )
    for title, values, wanted in (
        ("throughput of that without a server", ratios, "at least 0.8"),
        ("p99 of clients / workers times a single one's median", tails, "under 10"),
    ):
        print(
            f"{title}: {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f}, "
            f"{len(values)} rounds); {wanted} wanted"
        )
    with server(workers) as (address, process):
        small = arguments.small or arguments.folder
        sizes = []
        parts = [_SETTLED, *itertools.repeat((arguments.requests - _SETTLED) // 4, 4)]
        for number, part in zip(itertools.accumulate(parts), parts):
            loaded_from_outside(address, small, arguments.clients, part)
            sizes.append(resident_mb(process))
            print(f"after {number} requests: {sizes[-1]:.1f} MB", flush=True)
    grown = sizes[-1] - sizes[0]
    print(f"memory grew by {grown:+.1f} MB; at most {_ALLOWED_MB} wanted; no error")
    sys.exit(0 if grown <= _ALLOWED_MB else 1)


if __name__ == "__main__":
    main()
