"""``cxr-edge score`` against ``classify``: rates, start, memory, and what ten million films take.

    python -m benchmarks.scoring SMALL LARGE [--rounds 3] [--films 2000 20000]

SMALL has films of 224 px, LARGE full-size originals. A steady rate is that between a worker's first
file of results and its last, so Ray's start is apart; the engines of ``classify`` are made before
its clock starts, too. Memory is that of all processes together (PSS: what several share counts
once). It may grow by a tenth for ten times the films.
"""

import argparse
import itertools
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

from benchmarks.classification import classify_in_threads, images_below, load_bundle
from benchmarks.side_by_side import Finding, arguments, in_turn, process, ratio, run
from cxr_edge_runtime.device import available_cores

COMMAND = [sys.executable, "-m", "cxr_edge"]
TEN_MILLION = 10_000_000


@contextmanager
def linked(films: Sequence[Path], count: int) -> Iterator[Path]:
    """A folder of so many links to films."""
    with tempfile.TemporaryDirectory() as name:
        for number, film in enumerate(itertools.islice(itertools.cycle(films), count)):
            folder = Path(name, f"{number // 1000:03}")
            folder.mkdir(exist_ok=True)
            (folder / f"{number:06}{film.suffix}").symlink_to(film.absolute())
        yield Path(name)


def scored(folder: Path, workers: int) -> tuple[float, float, float]:
    """Films a second once each worker has written a file, seconds until then, and seconds in all.

    The times are those of the files, since the command itself hears of several at once.
    """
    with tempfile.TemporaryDirectory() as output:
        begun = time.time()
        command = [*COMMAND, "score", str(folder), "-o", output, "--workers", str(workers)]
        whole = process(command).seconds
        files = sorted((path.stat().st_mtime, path) for path in Path(output).glob("*.parquet"))
        start, end = files[workers - 1][0], files[-1][0]
        films = sum(pq.read_metadata(path).num_rows for _, path in files[workers:])
    return films / (end - start), start - begun, whole


def classified(folder: Path) -> tuple[float, ...]:
    """Seconds of ``classify --csv``, the whole command."""
    with tempfile.TemporaryDirectory() as output:
        csv = Path(output, "predictions.csv")
        return (process([*COMMAND, "classify", "-r", str(folder), "--csv", str(csv)]).seconds,)


def rates(title: str, folder: Path, rounds: int, cores: int) -> Iterator[Finding]:
    """All rates of a folder; the first finding is films a second a core."""
    films, bundle = images_below(folder), load_bundle()
    measured = in_turn(
        lambda: scored(folder, 1),
        lambda: scored(folder, cores),
        lambda: (classify_in_threads(bundle, films, 1),),
        lambda: (classify_in_threads(bundle, films, cores),),
        lambda: classified(folder),
        rounds=rounds,
        warm_up=0,
    )
    yield Finding(
        f"{title}, score", [all_[0] / cores for _, all_, *_ in measured], "films a second a core"
    )
    for workers, score, classify in ((1, 0, 2), (cores, 1, 3)):
        pairs = [(row[score][0], row[classify][0]) for row in measured]
        yield ratio(f"{title}, score and classify, {workers} workers", pairs, unit="films a second")
    yield Finding(f"{title}, until the first files", [row[1][1] for row in measured], "s")
    whole = [(row[1][2], row[4][0]) for row in measured]
    yield ratio(f"{title}, whole commands, score and classify --csv", whole, unit="s")


def children(process_id: int) -> list[int]:
    """The processes that a process started, and theirs."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [process_id]
    for parent in found:
        found += parents.get(parent, [])
    return found


def pss_mb(process_id: int) -> float:
    """Megabytes (2**20 bytes) of a process, its part of what it shares."""
    try:
        lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    except (OSError, StopIteration):
        return 0.0


def is_worker(process_id: int) -> bool:
    """Whether Ray named the process as one that scores films."""
    try:
        return b"MapWorker" in Path(f"/proc/{process_id}/cmdline").read_bytes()
    except OSError:
        return False


def peaks(folder: Path, workers: int) -> dict[str, float]:
    """The most megabytes of all processes of ``score``, of its driver and of its largest worker."""
    most = dict.fromkeys(("all", "driver", "worker"), 0.0)
    with tempfile.TemporaryDirectory() as output:
        command = [*COMMAND, "score", str(folder), "-o", output, "--workers", str(workers)]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.5):
                sizes = {number: pss_mb(number) for number in children(running.pid)}
                at_work = [size for number, size in sizes.items() if is_worker(number)]
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


def bytes_a_film(folder: Path) -> float:
    """The size of a film's results."""
    with tempfile.TemporaryDirectory() as output:
        process([*COMMAND, "score", str(folder), "-o", output])
        size = sum(path.stat().st_size for path in Path(output).iterdir())
    return size / len(images_below(folder))


def benchmark(options: argparse.Namespace) -> Iterator[Finding | str]:
    cores, small = available_cores(), images_below(options.small)
    for title, films, count in (
        ("224 px", small, 2000),
        ("originals", images_below(options.large), 660),
    ):
        with linked(films, count) as folder:
            a_core, *others = rates(title, folder, options.rounds, cores)
        yield from (a_core, *others)
        hours = TEN_MILLION / statistics.median(a_core.values) / 3600
        by_cores = ", ".join(f"{hours / n:.1f} with {n}" for n in (2, 16, 64, 256))
        yield f"ten million, {title}: hours of cores: {by_cores}"
    size = bytes_a_film(options.small)
    yield f"ten million: {size * TEN_MILLION / 1e9:.1f} GB of results, {size:.0f} bytes a film"
    found = []
    for count in options.films:
        with linked(small, count) as folder:
            found.append(peaks(folder, cores))
        sizes = ", ".join(f"{name} {size:.0f} MB" for name, size in found[-1].items())
        yield f"{count} films, most memory: {sizes}"
    fewer, more = options.films
    pairs = [(found[1]["all"], found[0]["all"])]
    yield ratio(f"memory for {more} and {fewer} films", pairs, unit="MB", at_most=1.1)


if __name__ == "__main__":
    parser = arguments(__doc__, "small", "large", rounds=3)
    parser.add_argument("--films", type=int, nargs=2, default=[2000, 20_000])
    run(benchmark, parser)
