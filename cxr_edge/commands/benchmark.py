"""``cxr-edge benchmark``."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxr_edge.bundles.notice import rejection
from cxr_edge.console import options
from cxr_edge.console.terminal import say_if_rejected
from cxr_edge.process.memory import fix_mmap_threshold

if TYPE_CHECKING:
    from cxr_edge_runtime.device.benchmark import Benchmark


def benchmark(
    bundle: options.BundleArgument = None,
    images: Annotated[
        list[Path] | None,
        typer.Option(
            "--images",
            metavar="PATH",
            help="An image, or a folder searched with all below it; may be given several times.  "
            "[default: a synthetic image]",
        ),
    ] = None,
    engine: options.Engine = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure time and memory on this device in half a minute.

    Load time, latency, stages, throughput and peak memory. Close other programs first: figures
    of a busy device, or of another one, do not apply.
    """
    from cxr_edge.bundles.lookup import load_bundle
    from cxr_edge.inputs import existing
    from cxr_edge_runtime.device.benchmark import run_benchmark

    fix_mmap_threshold()
    films = existing(images or [], stdin=sys.stdin)
    loaded = load_bundle(bundle)
    say_if_rejected(loaded.manifest)
    measured = run_benchmark(loaded, films, engine=engine)
    if as_json:
        rejected = rejection(loaded.manifest) or None
        typer.echo(json.dumps(measured.as_json() | {"rejected": rejected}))
    else:
        _print(measured)


def _print(measured: "Benchmark") -> None:
    manifest, before, after = measured.bundle.manifest, measured.before, measured.after
    typer.echo(f"{manifest.name}, {measured.engine}, {measured.kernels}")
    typer.echo("threads  load ms  first ms   p50 ms   p95 ms   p99 ms  peak MB")
    for timing in measured.inference:
        typer.echo(
            f"{timing.threads:>7}  {timing.load_ms:>7.1f}  {timing.first_ms:>8.2f}  "
            f"{timing.p50_ms:>7.2f}  {timing.p95_ms:>7.2f}  {timing.p99_ms:>7.2f}  "
            f"{timing.peak_memory_mb:>7.1f}"
        )
    films = "a synthetic film" if measured.films is None else f"{measured.films} given"
    typer.echo(f"\none at a time, {films}   p50 ms   p95 ms   p99 ms")
    for name, stage in measured.stages_ms.items():
        typer.echo(
            f"{name:<{len(films) + 15}}  {stage.p50:>7.2f}  {stage.p95:>7.2f}  {stage.p99:>7.2f}"
        )
    many = measured.throughput
    typer.echo(
        f"\n{many.workers} at once: {many.films_per_second} films per second, peak "
        f"{many.peak_memory_mb:.0f} MB"
    )
    if after.model:
        typer.echo(after.model)
    if after.temperature_c is not None:
        typer.echo(f"temperature {before.temperature_c} before, {after.temperature_c} °C after")
    if after.slowed is not None:
        typer.echo(f"slowed down: {', '.join(after.slowed) or 'no'}")
    typer.echo(manifest.notice)
