"""`cxr-edge score` against `classify`: rates, start, memory, and what ten million films would take.

    python benchmarks/scoring.py SMALL LARGE [--rounds 3] [--films 2000 20000]

SMALL has films of 224 px, LARGE full-size originals. A steady rate is that between a worker's first
file and its last, so Ray's start is apart; the engines of `classify` are made before its clock
starts, too. All are measured in turn in each round. Memory is that of all processes together (PSS:
what several share counts once), and must be no more than a tenth larger for ten times the films.
Only memory decides the exit code: on a busy machine the ratios say little.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.console.inputs import expand
from cxr_edge.scoring.backlog import Backlog
from cxr_edge.scoring.cluster import cluster
from cxr_edge.scoring.listing import film_names
from cxr_edge.scoring.worker import Job
from cxr_edge_runtime.batch import classify_all
from cxr_edge_runtime.classifier import Classifier

_ALLOWED_GROWTH = 1.1
_TEN_MILLION = 10_000_000


@contextmanager
def linked(films: Sequence[Path], count: int) -> Iterator[Path]:
    """A folder of so many links to films."""
    with tempfile.TemporaryDirectory() as name:
        for number, film in enumerate(itertools.islice(itertools.cycle(films), count)):
            folder = Path(name, f"{number // 1000:03}")
            folder.mkdir(exist_ok=True)
            (folder / f"{number:06}{film.suffix}").symlink_to(film.absolute())
        yield Path(name)


def score_rate(folder: Path, workers: int) -> tuple[float, float]:
    """Films a second once each worker has written a file, and seconds until then.

    By the files' times: this process hears of several at once.
    """
    with tempfile.TemporaryDirectory() as output, Backlog.opened() as backlog:
        begun = time.time()
        backlog.add(film_names(str(folder)))
        job = Job.of(load_bundle(None), engine=None, output=output, mark=None, logged=False)
        with cluster(None, workers) as count:
            from cxr_edge.scoring.pipeline import score_all

            for _ in score_all(backlog, job, workers=count):
                pass
        written = sorted((path.stat().st_mtime, path) for path in Path(output).iterdir())
        start, end = written[workers - 1][0], written[-1][0]
        films = sum(pq.read_metadata(path).num_rows for _, path in written[workers:])
    return films / (end - start), start - begun


def classify_rate(folder: Path, workers: int) -> float:
    """Films a second of what `classify` does."""
    films = list(expand([folder], recursive=True))
    bundle = load_bundle(None)
    made = [Classifier(bundle) for _ in range(workers)]
    begun = time.perf_counter()
    done = sum(1 for _ in classify_all(iter(films), made.pop, workers=workers))
    return done / (time.perf_counter() - begun)


def whole(*arguments: str) -> float:
    """Seconds of a command."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "cxr_edge", *arguments]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def children(process: int) -> list[int]:
    """The processes that a process started, and theirs."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [process]
    for parent in found:
        found += parents.get(parent, [])
    return found


def pss_mb(process: int) -> float:
    """Megabytes (2**20 bytes) of a process, its part of what it shares."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    except (OSError, StopIteration):
        return 0.0


def peaks(folder: Path, workers: int) -> dict[str, float]:
    """The most megabytes of all processes of `score`, of its driver and of its largest worker."""
    most = dict.fromkeys(("all", "driver", "worker"), 0.0)
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-m", "cxr_edge", "score", str(folder), "-o", output]
        command += ["--workers", str(workers)]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.5):
                sizes = {process: pss_mb(process) for process in children(running.pid)}
                at_work = [size for process, size in sizes.items() if "MapWorker" in _name(process)]
                now = (sum(sizes.values()), sizes[running.pid], max(at_work, default=0.0))
                for key, value in zip(most, now):
                    most[key] = max(most[key], value)

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = running.wait()
        ended.set()
        watcher.join()
    if code:
        sys.exit(f"score ended with {code}")
    return most


def _name(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def show(title: str, values: Sequence[float]) -> None:
    print(
        f"{title}: {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f}, "
        f"{len(values)} rounds)",
        flush=True,
    )


def rates(title: str, folder: Path, rounds: int, cores: int) -> float:
    """Measure and print; films a second a core."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        one, _ = score_rate(folder, 1)
        all_cores, start = score_rate(folder, cores)
        alone, threads = classify_rate(folder, 1), classify_rate(folder, cores)
        with tempfile.TemporaryDirectory() as output:
            scored = whole("score", str(folder), "-o", output)
            classified = whole("classify", "-r", str(folder), "--csv", f"{output}/answers.csv")
        for name, value in (
            ("rows a second, 1 worker", one),
            (f"rows a second, {cores} workers", all_cores),
            ("films a second of classify, 1 thread", alone),
            (f"films a second of classify, {cores} threads", threads),
            ("of classify's rate, 1 worker", one / alone),
            (f"of classify's rate, {cores} workers", all_cores / threads),
            ("seconds until the first files", start),
            ("seconds of the whole command", scored),
            ("seconds of classify --csv", classified),
        ):
            found.setdefault(name, []).append(value)
    for name, values in found.items():
        show(f"{title}: {name}", values)
    return statistics.median(found[f"rows a second, {cores} workers"]) / cores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("small", type=Path)
    parser.add_argument("large", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--films", type=int, nargs=2, default=[2000, 20_000])
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    small, large = (
        [film for film, _ in expand([folder], recursive=True)]
        for folder in (arguments.small, arguments.large)
    )
    a_core = {}
    for title, films, count in (("224 px", small, 2000), ("originals", large, 660)):
        with linked(films, count) as folder:
            a_core[title] = rates(title, folder, arguments.rounds, cores)
    with tempfile.TemporaryDirectory() as output:
        whole("score", str(arguments.small), "-o", output)
        size = sum(path.stat().st_size for path in Path(output).iterdir()) / len(small)
    for title, rate in a_core.items():
        hours = _TEN_MILLION / rate / 3600
        by_cores = ", ".join(f"{hours / n:.1f} with {n}" for n in (2, 16, 64, 256))
        print(f"ten million, {title}: {rate:.0f} films a second a core; hours of cores: {by_cores}")
    print(f"ten million: {size * _TEN_MILLION / 1e9:.1f} GB of results, {size:.0f} bytes a film")
    found = []
    for count in arguments.films:
        with linked(small, count) as folder:
            found.append(peaks(folder, cores))
        print(
            f"{count} films: {found[-1]['all']:.0f} MB in all processes, driver "
            f"{found[-1]['driver']:.0f}, a worker {found[-1]['worker']:.0f}",
            flush=True,
        )
    sys.exit(0 if found[1]["all"] <= _ALLOWED_GROWTH * found[0]["all"] else 1)


if __name__ == "__main__":
    main()
