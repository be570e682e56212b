"""``cxr-edge serve`` under load on loopback, against ``classify`` on the same folder.

    python -m benchmarks.serving FOLDER [--clients 16] [--rounds 5] [--requests 20000] [--small DIR]

Throughput is compared with that of the same workers without a server, start-up excluded; the 99th
percentile of a request with clients / workers times the median of a single client. Then --requests
requests with films of --small show whether memory grows. The clients are a process of their own on
the same cores. Any answer but 200 ends the benchmark with an error.
"""

import argparse
import http.client
import itertools
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.classification import classify_in_threads, images_below, load_bundle
from benchmarks.side_by_side import Finding, arguments, in_turn, ratio, resident_mb, run
from cxr_edge_runtime.device import available_cores

FILMS = 500  # of the folder, at most: a client's process holds them in memory
SETTLED = 500  # requests after which memory should stay as it is


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
    """Seconds of each request; exits on any answer but 200."""
    waiting = list(itertools.islice(itertools.cycle(films), requests))

    def client(_: int) -> list[float]:
        connection = http.client.HTTPConnection(address, timeout=120)
        seconds = []
        while waiting:
            try:
                film = waiting.pop()
            except IndexError:  # another client took the last one
                break
            begun = time.perf_counter()
            connection.request("POST", "/v1/classify", film)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                waiting.clear()
                raise SystemExit(f"error: {response.status} {body[:200]!r}")
            seconds.append(time.perf_counter() - begun)
        connection.close()
        return seconds

    with ThreadPoolExecutor(clients) as pool:
        return list(itertools.chain.from_iterable(pool.map(client, range(clients))))


def clients_process(
    address: str, folder: Path, clients: int, requests: int
) -> tuple[float, list[float]]:
    """Requests a second and the seconds of each, sent by a process of its own."""
    command = [sys.executable, "-m", "benchmarks.serving", str(folder), "--address", address]
    command += ["--clients", str(clients), "--requests", str(requests)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found["rate"], found["seconds"]


def rates(address: str, options: argparse.Namespace, workers: int) -> Iterator[Finding]:
    """Throughput and tail of many clients, in turn with a single one and with no server."""
    folder, clients, bundle = options.folder, options.clients, load_bundle()
    films = images_below(folder)[:FILMS]

    def without_server() -> tuple[float, list[float]]:
        return classify_in_threads(bundle, films, workers), []

    rounds = in_turn(
        without_server,
        lambda: clients_process(address, folder, 1, len(films)),
        lambda: clients_process(address, folder, clients, 2 * len(films)),
        rounds=options.rounds,
    )
    throughput = [(many, plain) for (plain, _), _, (many, _) in rounds]
    yield ratio("throughput with and without a server", throughput, unit="a second", at_least=0.8)
    tails = [
        (statistics.quantiles(many, n=100)[-1], clients / workers * statistics.median(alone))
        for _, (_, alone), (_, many) in rounds
    ]
    title = f"99th percentile of {clients} clients, and clients / workers times one's median"
    yield ratio(title, tails, unit="ms", scale=1000, at_most=10)


def memory(options: argparse.Namespace, workers: int) -> Iterator[Finding | str]:
    """How much the memory of a fresh server grows over many requests."""
    with server(workers) as (address, process):
        sizes = []
        parts = [SETTLED, *itertools.repeat((options.requests - SETTLED) // 4, 4)]
        for number, part in zip(itertools.accumulate(parts), parts):
            clients_process(address, options.small or options.folder, options.clients, part)
            sizes.append(resident_mb(process))
            yield f"after {number} requests: {sizes[-1]:.1f} MB"
    title = f"growth after the first {SETTLED} requests"
    yield Finding(title, [sizes[-1] - sizes[0]], "MB", at_most=5)


def benchmark(options: argparse.Namespace) -> Iterator[Finding | str]:
    if options.address:
        films = [film.read_bytes() for film in images_below(options.folder)[:FILMS]]
        begun = time.perf_counter()
        seconds = load(options.address, films, options.clients, options.requests)
        rate = len(seconds) / (time.perf_counter() - begun)
        yield json.dumps({"rate": rate, "seconds": seconds})
        return
    workers = available_cores()
    with server(workers) as (address, _):
        yield from rates(address, options, workers)
    yield from memory(options, workers)


if __name__ == "__main__":
    parser = arguments(__doc__, "folder", rounds=5)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--small", type=Path, help="smaller films for the many requests")
    parser.add_argument("--address", help=argparse.SUPPRESS)  # the process of the clients
    run(benchmark, parser)
