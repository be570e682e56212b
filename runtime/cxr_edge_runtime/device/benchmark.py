"""Time and memory of a bundle on this device: load, latency, stages, throughput."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.device import DeviceState, available_cores, device_state
from cxr_edge_runtime.device.inference_timing import Timing, measure
from cxr_edge_runtime.device.throughput import (
    Percentiles,
    Throughput,
    drawn_film,
    measure_stages,
    measure_throughput,
)
from cxr_edge_runtime.engines import open_engine
from cxr_edge_runtime.files import full_disk_named


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What was measured.

    Attributes:
        bundle: the bundle that was measured.
        engine: the engine that ran it.
        kernels: what computed inside the engine.
        cores: processor cores that this process may use.
        films: how many were given; None where a drawn film was measured.
        inference: load time, latency and memory for some numbers of threads.
        stages_ms: milliseconds of each stage of a classification.
        throughput: films per second on all cores.
        before: state of the device before.
        after: state of the device after.
    """

    bundle: Bundle
    engine: str
    kernels: str
    cores: int
    films: int | None
    inference: tuple[Timing, ...]
    stages_ms: dict[str, Percentiles]
    throughput: Throughput
    before: DeviceState
    after: DeviceState

    def as_json(self) -> dict[str, Any]:
        """The object that the command prints as JSON."""
        manifest = self.bundle.manifest
        return {
            "bundle": {"name": manifest.name, "sha256": self.bundle.digest},
            "engine": self.engine,
            "kernels": self.kernels,
            "cores": self.cores,
            "films": "drawn" if self.films is None else self.films,
            "inference": [asdict(timing) for timing in self.inference],
            "stages_ms": {name: asdict(values) for name, values in self.stages_ms.items()},
            "throughput": asdict(self.throughput),
            "device": {"before": asdict(self.before), "after": asdict(self.after)},
            "notice": manifest.notice,
        }


def run_benchmark(bundle: Bundle, films: Sequence[Path], *, engine: str | None = None) -> Benchmark:
    """Measure a bundle in half a minute.

    Args:
        bundle: a loaded bundle.
        films: image files to measure with; where there are none, a film is drawn.
        engine: see :func:`cxr_edge_runtime.engines.open_engine`.

    Raises:
        ImageError: a film cannot be used.
        EngineError: the model cannot be loaded or run.
    """
    opened = open_engine(bundle, engine=engine)
    cores = available_cores()
    before = device_state()
    with tempfile.TemporaryDirectory() as folder, full_disk_named(Path(folder)):
        measured = list(films)
        if not measured:
            measured = [Path(folder) / "drawn.jpeg"]
            measured[0].write_bytes(drawn_film())
        stages = measure_stages(bundle, measured, engine=engine)
        throughput = measure_throughput(bundle, measured, workers=cores, engine=engine)
    counts = sorted({1, 2, cores} & set(range(1, cores + 1)))
    return Benchmark(
        bundle=bundle,
        engine=opened.name,
        kernels=opened.kernels,
        cores=cores,
        films=len(films) or None,
        inference=tuple(measure(bundle.path, threads=counts, engine=engine)),
        stages_ms=stages,
        throughput=throughput,
        before=before,
        after=device_state(),
    )
