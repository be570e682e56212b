"""Scanning a data set against a bare loop: throughput as a ratio, and memory as files grow.

    python -m benchmarks.scanning DATA_DIR [--rounds 5] [--processes 2]
    python -m benchmarks.scanning DATA_DIR --memory 5000 50000

The bare loop reads, hashes (MD5) and fully decodes each file in a multiprocessing.Pool of as many
processes. It calls Pillow's load(), because Image.verify() does not find a truncated JPEG. The scan
starts with an empty index, so that it reads every file.

--memory writes data sets of that many different files, copies of DATA_DIR's first films with a JPEG
comment each, and cleans each in a process of its own up to both CSV files: scanning, the index and
exact duplicates, without the report.
"""

import argparse
import hashlib
import io
import multiprocessing
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from benchmarks.side_by_side import Finding, arguments, in_turn, ratio, resident_mb, run
from cxr_edge_train.cleaning.clean import take_inventory
from cxr_edge_train.cleaning.inventory import Inventory
from cxr_edge_train.cleaning.scan_index import ScanIndex
from cxr_edge_train.cleaning.scanning import scan
from cxr_edge_train.dataset.class_names import KERMANY
from cxr_edge_train.dataset.layout import open_dataset
from cxr_edge_train.dataset.metadata import left_out_path, write_left_out, write_metadata

# Films that the memory test multiplies.
_FILMS = 20


def check(path: str) -> str:
    """What the bare loop does with a file."""
    content = Path(path).read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        image.load()
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def bare_loop(data_dir: Path, processes: int) -> int:
    """How many files the bare loop checked."""
    paths = [str(data_dir / file.path) for file in open_dataset(data_dir).files() if file.label]
    with multiprocessing.get_context("forkserver").Pool(processes) as pool:
        return len(pool.map(check, paths, chunksize=32))


def our_scan(data_dir: Path, processes: int) -> int:
    """How many files the scan read."""
    with tempfile.TemporaryDirectory() as cache:
        index = ScanIndex(Path(cache))
        files = scan(open_dataset(data_dir), relative_to=data_dir, index=index, workers=processes)
        number = sum(1 for _ in files)
        index.close()
    return number


def throughput(data_dir: Path, rounds: int, processes: int) -> Finding:
    """Files a second of the scan against those of the bare loop."""

    def rate(way: Callable[[Path, int], int]) -> float:
        started = time.perf_counter()
        return way(data_dir, processes) / (time.perf_counter() - started)

    pairs = in_turn(lambda: rate(our_scan), lambda: rate(bare_loop), rounds=rounds)
    title = f"scanning with {processes} processes"
    return ratio(title, pairs, unit="files a second", at_least=0.8)


def multiply(data_dir: Path, number: int, target: Path) -> None:
    """Write ``number`` different JPEG files, half of each label."""
    films = [
        file.path
        for file in open_dataset(data_dir).files()
        if file.path.endswith((".jpeg", ".jpg"))
    ]
    contents = [(data_dir / path).read_bytes() for path in films[:_FILMS]]
    for label in KERMANY:
        (target / "train" / label).mkdir(parents=True)
    for count in range(number):
        comment = f"copy {count}".encode()
        segment = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment
        content = contents[count % len(contents)]
        label = KERMANY[count % 2]
        name = (
            f"IM-{count:05}-0001.jpeg"
            if label == KERMANY.negative
            else f"person{count}_virus_1.jpeg"
        )
        (target / "train" / label / name).write_bytes(content[:2] + segment + content[2:])


def take_one_inventory(data_dir: Path) -> None:
    """Clean without the report."""
    with tempfile.TemporaryDirectory() as folder, Inventory() as inventory:
        output = Path(folder) / "clean_metadata.csv"
        take_inventory(
            inventory,
            open_dataset(data_dir.resolve()),
            relative_to=output.parent,
            cache_dir=Path(folder),
        )
        write_left_out(left_out_path(output), inventory.left_out())
        write_metadata(output, inventory.kept())


def group_mib(group: int) -> float:
    """Resident MiB of all processes of a process group; pages they share count for each."""
    total = 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(process.name)) == group:
                total += resident_mb(int(process.name))
        except OSError:  # it has just ended
            continue
    return total


def peak_mib(data_dir: Path) -> float:
    """Peak resident MiB of a process that takes the inventory, and of its children."""
    command = [sys.executable, "-m", "benchmarks.scanning", str(data_dir), "--inventory"]
    peak = 0.0
    with subprocess.Popen(command, start_new_session=True) as process:
        while process.poll() is None:
            peak = max(peak, group_mib(process.pid))
            time.sleep(0.05)
    if process.returncode:
        sys.exit("taking the inventory failed")
    return peak


def memory(data_dir: Path, sizes: list[int]) -> Iterator[Finding | str]:
    """Peak memory for each number of files, and how much it grows from the first to the last."""
    peaks = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            multiply(data_dir, size, Path(folder))
            peaks.append(peak_mib(Path(folder)))
        yield f"{size} files: peak {peaks[-1]:.1f} MiB"
    title = f"growth from {sizes[0]} to {sizes[-1]} files"
    yield Finding(title, [peaks[-1] - peaks[0]], "MiB", at_most=20)


def benchmark(options: argparse.Namespace) -> Iterator[Finding | str]:
    data_dir = options.data_dir.resolve()
    if options.inventory:
        take_one_inventory(data_dir)
    elif options.memory:
        yield from memory(data_dir, options.memory)
    else:
        yield throughput(data_dir, options.rounds, options.processes)


if __name__ == "__main__":
    parser = arguments(__doc__, "data_dir", rounds=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--memory", type=int, nargs="+", metavar="FILES")
    parser.add_argument("--inventory", action="store_true", help=argparse.SUPPRESS)
    run(benchmark, parser)
