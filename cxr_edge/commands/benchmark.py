"""``cxr-edge benchmark``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr_edge.console import options

if TYPE_CHECKING:
    from cxr_edge_runtime.device import DeviceState


def benchmark(
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[IMAGE...]",
            readable=False,
            help="Films and folders to measure with, searched to the bottom; a drawn film without "
            "them.",
        ),
    ] = None,
    bundle: options.BundleOption = None,
    engine: options.Engine = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure time and memory on this device in half a minute.

    Load, latency, stages, throughput and peak memory. Figures of another device or of a busy
    one say nothing about this one.
    """
    import tempfile
    from dataclasses import asdict

    from cxr_edge.bundles.lookup import load_bundle
    from cxr_edge.console.inputs import expand
    from cxr_edge.process.memory import fix_mmap_threshold
    from cxr_edge_runtime.device import available_cores, device_state
    from cxr_edge_runtime.device.inference_timing import measure
    from cxr_edge_runtime.device.throughput import drawn_film, measure_stages, measure_throughput
    from cxr_edge_runtime.engines import open_engine

    fix_mmap_threshold()
    loaded = load_bundle(bundle)
    opened = open_engine(loaded, engine=engine)
    cores = available_cores()
    before = device_state()
    with tempfile.TemporaryDirectory() as folder:
        films = []
        for path, error in expand(images or [], recursive=True, stdin=sys.stdin):
            if error:
                raise error
            films.append(path)
        if not films:
            film = Path(folder) / "drawn.jpeg"
            film.write_bytes(drawn_film())
            films = [film]
        stages = measure_stages(loaded, films, engine=engine)
        throughput = measure_throughput(loaded, films, workers=cores, engine=engine)
    counts = sorted({1, 2, cores} & set(range(1, cores + 1)))
    timings = measure(loaded.path, threads=counts, engine=engine)
    after = device_state()
    found: dict[str, Any] = {
        "bundle": {"name": loaded.manifest.name, "sha256": loaded.digest},
        "engine": opened.name,
        "kernels": opened.kernels,
        "cores": cores,
        "films": "drawn" if not images else len(films),
        "inference": [asdict(timing) for timing in timings],
        "stages_ms": {name: asdict(values) for name, values in stages.items()},
        "throughput": asdict(throughput),
        "device": {"before": asdict(before), "after": asdict(after)},
        "notice": loaded.manifest.notice,
    }
    if as_json:
        import json

        typer.echo(json.dumps(found))
    else:
        _print(found, before, after)


def _print(found: dict[str, Any], before: "DeviceState", after: "DeviceState") -> None:
    typer.echo(f"{found['bundle']['name']}, {found['engine']}, {found['kernels']}")
    typer.echo("threads  load ms  first ms   p50 ms   p95 ms   p99 ms  peak MB")
    for row in found["inference"]:
        typer.echo(
            f"{row['threads']:>7}  {row['load_ms']:>7.1f}  {row['first_ms']:>8.2f}  "
            f"{row['p50_ms']:>7.2f}  {row['p95_ms']:>7.2f}  {row['p99_ms']:>7.2f}  "
            f"{row['peak_memory_mb']:>7.1f}"
        )
    films = "a drawn film" if found["films"] == "drawn" else f"{found['films']} given"
    typer.echo(f"\none at a time, {films}   p50 ms   p95 ms   p99 ms")
    for name, row in found["stages_ms"].items():
        typer.echo(
            f"{name:<{len(films) + 15}}  {row['p50']:>7.2f}  {row['p95']:>7.2f}  {row['p99']:>7.2f}"
        )
    many = found["throughput"]
    typer.echo(
        f"\n{many['workers']} at once: {many['films_per_second']} films a second, peak "
        f"{many['peak_memory_mb']:.0f} MB"
    )
    if after.model:
        typer.echo(after.model)
    if after.temperature_c is not None:
        typer.echo(f"temperature {before.temperature_c} before, {after.temperature_c} °C after")
    if after.slowed is not None:
        typer.echo(f"slowed down: {', '.join(after.slowed) or 'no'}")
    typer.echo(found["notice"])
