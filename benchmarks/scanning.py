"""Scanning a data set against a bare loop: throughput as a ratio, and memory as files grow.

    python benchmarks/scanning.py DATA_DIR [--pairs 5] [--processes 2]
    python benchmarks/scanning.py DATA_DIR --memory 5000 50000

The bare loop reads, hashes (MD5) and fully decodes each file in a multiprocessing.Pool of as many
processes. It calls Pillow's load(), because Image.verify() does not find a truncated JPEG. Both run
in turn and the scan starts with an empty index, so that each reads every file; the ratio is taken
pair by pair and its median is the figure.

--memory writes data sets of that many different files, copies of DATA_DIR's first films with a JPEG
comment each, and cleans each in a process of its own up to both CSV files: scanning, the index and
exact duplicates, without the report.
"""

import argparse
import hashlib
import io
import multiprocessing
import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from cxr_edge_train.cleaning.clean import take_inventory
from cxr_edge_train.cleaning.inventory import Inventory
from cxr_edge_train.cleaning.scan_index import ScanIndex
from cxr_edge_train.cleaning.scanning import scan
from cxr_edge_train.dataset.layout import LABELS, find_files
from cxr_edge_train.dataset.metadata import left_out_path, write_left_out, write_metadata

# Files a second against the bare loop; growth of memory from the first to the last number of files.
MIN_RATIO, MAX_GROWTH_MIB = 0.8, 20

# Films that the memory test multiplies.
_FILMS = 20


def check(path: str) -> str:
    """What the bare loop does with a file."""
    content = Path(path).read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        image.load()
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def bare_loop(data_dir: Path, processes: int) -> int:
    paths = [str(data_dir / file.path) for file in find_files(data_dir) if file.label]
    with multiprocessing.get_context("forkserver").Pool(processes) as pool:
        return len(pool.map(check, paths, chunksize=32))


def our_scan(data_dir: Path, processes: int) -> int:
    with tempfile.TemporaryDirectory() as cache:
        index = ScanIndex(Path(cache))
        files = scan(data_dir, relative_to=data_dir, index=index, workers=processes)
        number = sum(1 for _ in files)
        index.close()
    return number


def measure_throughput(data_dir: Path, pairs: int, processes: int) -> None:
    """Print files a second of both and the ratio."""
    ours: list[float] = []
    bare: list[float] = []
    bare_loop(data_dir, processes), our_scan(data_dir, processes)  # warm the disk cache
    for _ in range(pairs):
        for run, rates in ((our_scan, ours), (bare_loop, bare)):
            started = time.perf_counter()
            number = run(data_dir, processes)
            rates.append(number / (time.perf_counter() - started))
    ratios = sorted(our / floor for our, floor in zip(ours, bare))
    print(
        f"scanning: {statistics.median(ours):.0f} against {statistics.median(bare):.0f} files/s "
        f"with {processes} processes, ratio {statistics.median(ratios):.2f} "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f}, {pairs} pairs), at least {MIN_RATIO} wanted"
    )
    if statistics.median(ratios) < MIN_RATIO:
        sys.exit("scanning is slower than wanted")


def multiply(data_dir: Path, number: int, target: Path) -> None:
    """Write ``number`` different JPEG files, half of each label."""
    films = [file.path for file in find_files(data_dir) if file.path.endswith((".jpeg", ".jpg"))]
    contents = [(data_dir / path).read_bytes() for path in films[:_FILMS]]
    for label in LABELS:
        (target / "train" / label).mkdir(parents=True)
    for count in range(number):
        comment = f"copy {count}".encode()
        segment = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment
        content = contents[count % len(contents)]
        label = LABELS[count % len(LABELS)]
        name = f"IM-{count:05}-0001.jpeg" if label == "NORMAL" else f"person{count}_virus_1.jpeg"
        (target / "train" / label / name).write_bytes(content[:2] + segment + content[2:])


def take_one_inventory(data_dir: Path) -> None:
    """Clean without the report and print this process's peak resident KiB."""
    with tempfile.TemporaryDirectory() as folder, Inventory() as inventory:
        output = Path(folder) / "clean_metadata.csv"
        take_inventory(inventory, data_dir, relative_to=output.parent, cache_dir=Path(folder))
        write_left_out(left_out_path(output), inventory.left_out())
        write_metadata(output, inventory.kept())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def resident_kib(group: int) -> int:
    """Resident KiB of all processes of a process group; pages they share count for each."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(process.name)) == group:
                pages = int((process / "statm").read_text().split()[1])
                total += pages * resource.getpagesize() // 1024
        except OSError:  # it has just ended
            continue
    return total


def peaks_mib(data_dir: Path) -> tuple[float, float]:
    """Peak resident MiB of a process that takes the inventory, and of it and its children."""
    command = [sys.executable, __file__, str(data_dir), "--inventory"]
    together = 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while process.poll() is None:
            together = max(together, resident_kib(process.pid))
            time.sleep(0.05)
        assert process.stdout is not None
        printed = process.stdout.read()
    if process.returncode:
        sys.exit("taking the inventory failed")
    return int(printed) / 1024, together / 1024


def measure_memory(data_dir: Path, sizes: list[int]) -> None:
    """Print peak memory for each number of files and the difference."""
    peaks = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            multiply(data_dir, size, Path(folder))
            own, together = peaks_mib(Path(folder))
        peaks.append((own, together))
        print(f"{size} files: peak {own:.1f} MiB, with the reading processes {together:.1f} MiB")
    own, together = (last - first for last, first in zip(peaks[-1], peaks[0]))
    print(
        f"from {sizes[0]} to {sizes[-1]} files: {own:+.1f} MiB, with them {together:+.1f} MiB, at "
        f"most {MAX_GROWTH_MIB} wanted"
    )
    if together > MAX_GROWTH_MIB:
        sys.exit("scanning takes more memory for more files than wanted")


def main() -> None:
    """Measure what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--memory", type=int, nargs="+", metavar="FILES")
    parser.add_argument("--inventory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    data_dir = arguments.data_dir.resolve()
    if arguments.inventory:
        take_one_inventory(data_dir)
    elif arguments.memory:
        measure_memory(data_dir, arguments.memory)
    else:
        measure_throughput(data_dir, arguments.pairs, arguments.processes)


if __name__ == "__main__":
    main()
