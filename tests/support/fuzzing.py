"""Mutated films and bundles against the runtime: an answer or one clear line, whatever comes.

    python tests/support/fuzzing.py [--count 20000] [--seed 0] [--shared FOLDER] [--findings FOLDER]

Each input follows from the seed and its number alone. They run in child processes, so that a crash,
a hang or a memory blow-up is seen; what goes wrong is written to the findings folder.
"""

import argparse
import io
import json
import random
import struct
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import ImplicitVRLittleEndian, JPEGBaseline8Bit

import crafted_dicom
import cxr_edge_models
from crafted_images import (
    animated_png,
    bmp_of_runs,
    bmp_with_alpha,
    exif_bomb,
    exif_of_one_directory_again_and_again,
    exif_of_overlapping_directories,
    jpeg_of_exif,
    jpeg_of_hidden_scans,
    jpeg_of_pictures,
    jpeg_segment,
    jpeg_with,
    plain_jpeg,
    plain_tiff,
    png_of_packed_text,
    tiff_of_overlapping_pages,
    tiff_of_pages,
    tiff_of_sub_directory,
    tiff_of_wide_tiles,
    webp_of_chunks,
)
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.archive import open_archive, write_archive
from cxr_edge_runtime.bundle.manifest import GateLimits
from cxr_edge_runtime.bundle.manifest_reading import parse_manifest
from cxr_edge_runtime.bundle.reference import VerifiedPredictions
from cxr_edge_runtime.device.inference_timing import peak_memory_mb
from cxr_edge_runtime.device.selftest import GoldenFilms
from cxr_edge_runtime.errors import CxrEdgeError
from cxr_edge_runtime.gate import Gate
from cxr_edge_runtime.images import image_warnings, load_grey
from cxr_edge_runtime.preprocess import PreprocessSpec, preprocess
from dicom_files import jpeg, written
from synthetic import noisy_gradient

# A film of 30 million RGBA pixels peaks at 230; nothing may take more than twice that.
MAX_MEMORY_MB = 500
# Far beyond what any of these small files may take.
MAX_SECONDS = 60
MAX_START_SECONDS = 120
_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

Seed = tuple[str, bytes]


def seeds(shared: Path | None = None) -> list[Seed]:
    """Whole inputs by kind: ``image``, ``archive`` and the files of a bundle.

    Args:
        shared: the folder of development images, for real ones too.
    """
    found = [("image", content) for content in _drawn()]
    bundle = cxr_edge_models.path(cxr_edge_models.DEFAULT)
    found += [
        (kind, (bundle / file).read_bytes())
        for kind, file in (
            ("manifest", "bundle.json"), ("gate", "gate.npz"), ("selftest", "selftest.npz"),
            ("reference", "reference.npz"),
        )
    ]  # fmt: skip
    packed = io.BytesIO()
    write_archive(packed, Bundle.load(cxr_edge_models.path("tiny")), signature=bytes(64))
    found.append(("archive", packed.getvalue()))
    if shared is not None:
        for pattern in ("originals/*/*.jpeg", "external_adult/*/*.png", "dicom/*",
                        "not_chest_xray/*/*"):  # fmt: skip
            files = [path for path in sorted((shared / "data").glob(pattern)) if path.is_file()]
            found += [("image", path.read_bytes()) for path in files[:8]]
    return found


def _drawn() -> Iterator[bytes]:
    grey = Image.fromarray(noisy_gradient((96, 80), seed=0))
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    colour = grey.convert("RGB")
    for image, format_, options in (
        (grey, "JPEG", {}),
        (colour, "JPEG", {"progressive": True, "exif": exif}),
        (grey, "PNG", {}),
        (wide, "PNG", {}),
        (grey.convert("P"), "PNG", {}),
        (grey.convert("RGBA"), "PNG", {}),
        (grey, "TIFF", {}),
        (wide, "TIFF", {"compression": "tiff_lzw"}),
        (colour, "TIFF", {"compression": "tiff_deflate"}),
        (grey, "BMP", {}),
        (colour, "WEBP", {}),
        (colour, "WEBP", {"lossless": True}),
    ):
        file = io.BytesIO()
        image.save(file, format_, **options)
        yield file.getvalue()
    yield from _crafted()
    film = np.asarray(grey)
    yield written()
    yield written(syntax=ImplicitVRLittleEndian)
    yield written(film, syntax=JPEGBaseline8Bit, PixelData=encapsulate([jpeg(film)]))
    yield from crafted_dicom.seeds()


def _crafted() -> Iterator[bytes]:
    """Small pictures of odd kinds, whose checks lie a few bytes from the decoders' own."""
    yield jpeg_of_pictures([0x010001, 0])
    yield jpeg_of_hidden_scans(20)
    yield jpeg_of_exif(exif_bomb(tags=20, n_bytes=2000))
    yield jpeg_of_exif(exif_of_overlapping_directories(9, tags=20))
    yield jpeg_of_exif(exif_of_one_directory_again_and_again(9, 11))
    yield jpeg_with(jpeg_segment(0xE5) * 30 + b"\xff\xd0\xff\xff")
    for marker in (0xC1, 0xC3, 0xC9, 0xCA):
        yield plain_jpeg(marker)
    yield animated_png(2)
    yield png_of_packed_text(3)
    yield webp_of_chunks(200)
    yield bmp_with_alpha(0)
    yield bmp_of_runs((96, 80))
    yield tiff_of_overlapping_pages(5, tags=20)
    yield tiff_of_wide_tiles(160)
    for order in ("<", ">"):
        yield tiff_of_sub_directory(100, order=order)
        yield tiff_of_pages([0, 1, 4], order=order)
        yield plain_tiff(order=order, tag339=2)
        yield plain_tiff(order=order, tag284=2)


def mutated(wholes: list[Seed], seed: int, number: int) -> Seed:
    """The input of that number: one of the wholes, damaged in one to four places."""
    choose = random.Random(f"{seed}/{number}")
    kind, content = choose.choice(wholes)
    damaged = bytearray(content)
    for _ in range(choose.randint(1, 4)):
        _damage(damaged, choose, choose.choice(wholes)[1])
    if choose.random() < 0.5:
        _mend_png(damaged)
    return kind, bytes(damaged)


def _damage(content: bytearray, choose: random.Random, other: bytes) -> None:
    if not content:
        return
    # Headers decide most, so half of the places lie in the first kilobyte.
    end = min(len(content), 1024) if choose.random() < 0.5 else len(content)
    at = choose.randrange(end)
    length = choose.choice((1, 2, 4, 16, 256, 4096))
    way = choose.randrange(7)
    if way == 0:
        content[at] ^= 1 << choose.randrange(8)
    elif way == 1:
        content[at : at + length] = choose.randbytes(len(content[at : at + length]))
    elif way == 2:
        layout = choose.choice(("<H", ">H", "<I", ">I"))
        mask = (1 << (8 * struct.calcsize(layout))) - 1
        number = struct.pack(layout, choose.choice(_EXTREMES) & mask)
        content[at : at + len(number)] = number
    elif way == 3:
        del content[at:]
    elif way == 4:
        del content[at : at + length]
    elif way == 5:
        content[at:at] = content[at : at + length] * choose.randint(1, 8)
    else:
        start = choose.randrange(len(other) or 1)
        content[at : at + length] = other[start : start + length]


def _mend_png(content: bytearray) -> None:
    """Make the checksums of a PNG right again, or a damaged chunk would never be looked at."""
    if content[:4] != b"\x89PNG":
        return
    at = 8
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        end = at + 8 + length
        if end + 4 > len(content):
            return
        struct.pack_into(">I", content, end, zlib.crc32(content[at + 4 : end]))
        at = end + 4


def attempt(kind: str, content: bytes) -> str | None:
    """What is wrong with how the runtime takes an input, in words; None if nothing is."""
    try:
        if kind == "manifest":
            parse_manifest(content)
        elif kind == "gate":
            Gate.from_bytes(content, GateLimits(1.0, 2.0))
        elif kind == "selftest":
            GoldenFilms.from_bytes(content)
        elif kind == "reference":
            VerifiedPredictions.from_bytes(content)
        elif kind == "archive":
            _unpack(content)
        else:
            film = load_grey(content)
            if preprocess(film.pixels, PreprocessSpec()).shape != (1, 224, 224, 1):
                return "an input of another shape"
            image_warnings(film.pixels)
    except CxrEdgeError as error:
        if "\n" in str(error) or not str(error):
            return f"not one line: {error!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _unpack(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.cxr.zip").write_bytes(content)
        (folder / "new").mkdir()
        with open_archive(folder / "a.cxr.zip") as archive:
            archive.unpack(folder / "new")


def _child(start: int, end: int, seed: int, shared: Path | None) -> None:
    """Print the number of each input before it is tried, and what is wrong with it after."""
    wholes = seeds(shared)
    for number in range(start, end):
        print(json.dumps({"number": number}), flush=True)
        wrong = attempt(*mutated(wholes, seed, number))
        peak = peak_memory_mb()
        if peak > MAX_MEMORY_MB:
            wrong = f"{peak:.0f} MB of memory"
        if wrong:
            print(json.dumps({"number": number, "wrong": wrong}), flush=True)
        if peak > MAX_MEMORY_MB:
            return  # the peak stays; a fresh process goes on


def run(count: int, *, seed: int, shared: Path | None = None) -> dict[int, str]:
    """Try inputs in child processes.

    Returns:
        What went wrong by the number of the input.
    """
    findings: dict[int, str] = {}
    start = 0
    while start < count:
        more = ["--shared", str(shared)] if shared else []
        command = [sys.executable, __file__, "--child", str(start), "--count", str(count)]
        with subprocess.Popen(
            [*command, "--seed", str(seed), *more], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            number = start
            for line in _lines(child):
                said: dict[str, Any] = json.loads(line)
                number = said["number"]
                if "wrong" in said:
                    findings[number] = said["wrong"]
        if child.returncode:
            findings[number] = f"the process ended with {child.returncode}"
        start = number + 1
    return findings


def _lines(child: "subprocess.Popen[str]") -> Iterator[str]:
    """What a child prints; it is killed where its start or an input takes too long."""
    assert child.stdout is not None
    watch = threading.Timer(MAX_START_SECONDS, child.kill)
    watch.start()
    try:
        for line in child.stdout:
            watch.cancel()
            watch = threading.Timer(MAX_SECONDS, child.kill)
            watch.start()
            yield line
    finally:
        watch.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shared", type=Path, help="folder of development images")
    parser.add_argument("--findings", type=Path, default=Path("fuzzing-findings"))
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        _child(options.child, options.count, options.seed, options.shared)
        return
    findings = run(options.count, seed=options.seed, shared=options.shared)
    wholes = seeds(options.shared)
    for number, wrong in findings.items():
        kind, content = mutated(wholes, options.seed, number)
        options.findings.mkdir(parents=True, exist_ok=True)
        file = options.findings / f"{options.seed}-{number}.{kind}"
        file.write_bytes(content)
        print(f"{file}: {wrong}")
    print(f"{options.count} inputs from {len(wholes)} wholes, {len(findings)} findings")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
