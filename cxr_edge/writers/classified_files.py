"""Classify files, several at once, and pass each result to every writer."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from cxr_edge.bundles.lookup import load_accepted_bundle
from cxr_edge.inputs import expand_as_it_comes, is_stdin
from cxr_edge.process.interruption import interruption
from cxr_edge.writers import Writer
from cxr_edge_runtime.batch import classify_all
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier, Prediction
from cxr_edge_runtime.device import available_cores
from cxr_edge_runtime.errors import CxrEdgeError, InvalidRequest
from cxr_edge_runtime.probability import check_prevalence


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files to write besides showing the results; None for those not wanted.

    Attributes:
        csv: file of a row per image.
        heatmaps: folder of a picture per image.
        log: log of predictions, for ``cxr-edge drift``.
        dicom: folder of a secondary capture and a structured report per DICOM film.
    """

    csv: Path | None = None
    heatmaps: Path | None = None
    log: Path | None = None
    dicom: Path | None = None


@dataclass(slots=True)
class Counts:
    """What became of the images.

    Attributes:
        labels: how many images have each label of the bundle.
        verdicts: how many images the gate gave each of its verdicts.
        failed: images without a result.
        unwritten: images of which a heat map or a DICOM answer could not be written.
        signal: number of the signal that ended it early; None where it went to the end.
    """

    labels: dict[str, int]
    verdicts: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    unwritten: int = 0
    signal: int | None = None

    @property
    def classified(self) -> int:
        """Images with a result, rejected ones included."""
        return self.verdicts.total()

    def add(self, prediction: Prediction) -> None:
        """Count a result."""
        self.verdicts[prediction.gate.verdict] += 1
        if prediction.label is not None:
            self.labels[prediction.label] += 1


@dataclass(frozen=True, slots=True)
class _Finished:
    """What a worker made of a film: the prediction, and what could not be written and why."""

    prediction: Prediction
    unwritten: tuple[tuple[str, str], ...]


def classify_files(
    images: Iterable[Path],
    bundle: str | None,
    outputs: Outputs,
    *,
    shown: Callable[[Bundle], Writer],
    on_signal: Callable[[], None],
    on_unwritten: Callable[[Path, str, str], None],
    recursive: bool = False,
    stdin: TextIO | None = None,
    force: bool = False,
    engine: str | None = None,
    threads: int | None = None,
    prevalence: float | None = None,
    allow_rejected: bool = False,
) -> Counts:
    """Classify image files until all are done, or until SIGINT or SIGTERM.

    Args:
        images: see :func:`cxr_edge.inputs.expand`, as ``recursive`` and ``stdin``.
        bundle: see :func:`cxr_edge.bundles.lookup.load_bundle`.
        outputs: what is written.
        shown: makes the writer that shows the results, from the bundle.
        on_signal: called when the first signal comes; images in progress are finished.
        on_unwritten: called with an image, what of it could not be written, and why.
        recursive: search the folders in a folder, too.
        stdin: where ``-`` reads paths from.
        force: predict also where the gate rejects the image.
        engine: see :func:`cxr_edge_runtime.engines.open_engine`.
        threads: images at once, or threads of the engine for a single image; by default all
            cores, or one.
        prevalence: see :class:`cxr_edge_runtime.classifier.Classifier`.
        allow_rejected: see :func:`cxr_edge.bundles.lookup.load_accepted_bundle`.

    Raises:
        CxrEdgeError: the bundle, the engine or an output cannot be used.
        OSError: the CSV file cannot be written.
    """
    loaded = load_accepted_bundle(bundle, allow_rejected=allow_rejected)
    if prevalence is not None:
        check_prevalence(prevalence, loaded.manifest)
    heatmaps = None
    if outputs.heatmaps is not None:
        from cxr_edge.writers.heatmaps import HeatmapWriter

        heatmaps = HeatmapWriter(outputs.heatmaps, loaded)

    dicom = None
    if outputs.dicom is not None:
        from cxr_edge.writers.dicom_files import DicomWriter

        dicom = DicomWriter(outputs.dicom, loaded)
    pictures = [
        (what, writer)
        for what, writer in (("heat map", heatmaps), ("DICOM answer", dicom))
        if writer
    ]

    def finish(path: Path, prediction: Prediction) -> _Finished:
        tried = [(what, writer.write(path, prediction)) for what, writer in pictures]
        return _Finished(prediction, tuple((what, why) for what, why in tried if why is not None))

    images = list(images)
    counts = Counts(dict.fromkeys(loaded.manifest.labels, 0))
    with interruption(on_signal) as interrupted, ExitStack() as files:
        found = expand_as_it_comes(images, recursive=recursive, stdin=stdin)
        inputs = interrupted.until(found)
        # A second line may come an hour after the first, or never.
        streamed = stdin is not None and any(map(is_stdin, images))
        first = [] if streamed else list(islice(inputs, 2))
        several = streamed or len(first) > 1
        # A single image has the cores to itself; of several each has one.
        workers = (threads or available_cores()) if several else 1
        engine_threads = 1 if several else (threads or 1)
        writers = [shown(loaded), *files.enter_context(_files(loaded, outputs))]
        for image, result in classify_all(
            chain(first, inputs),
            lambda: Classifier(
                loaded, threads=engine_threads, engine=engine, prevalence=prevalence
            ),
            workers=workers,
            force=force,
            mapped=bool(pictures),
            finish=finish,
        ):
            written = result if isinstance(result, CxrEdgeError) else result.prediction
            for writer in writers:
                writer.write(image, written)
            if isinstance(result, CxrEdgeError):
                counts.failed += 1
                continue
            counts.add(result.prediction)
            for what, why in result.unwritten:
                on_unwritten(image, what, why)
            counts.unwritten += bool(result.unwritten)
        for writer in writers:
            writer.close()
    counts.signal = interrupted.number
    return counts


@contextmanager
def _files(bundle: Bundle, outputs: Outputs) -> Iterator[list[Writer]]:
    """The writers of files; the CSV file is whole, or not there, even where the log failed.

    Raises:
        LogError: at the end, films could not be added to the log.
    """
    csv, log = outputs.csv, outputs.log
    if csv and log and os.path.realpath(csv) == os.path.realpath(log):
        raise InvalidRequest(f"{log}: cannot be both the CSV file and the log; choose another one")
    writers: list[Writer] = []
    with ExitStack() as opened:
        if csv is not None:
            from cxr_edge.writers.csv_file import csv_writer

            writers.append(opened.enter_context(csv_writer(csv, bundle)))
        logged = None
        if log is not None:
            from cxr_edge.monitoring.log_writer import LogWriter
            from cxr_edge.monitoring.prediction_log import PredictionLog

            logged = LogWriter(PredictionLog(log), bundle)
            opened.callback(logged.close)
            writers.append(logged)
        yield writers
    if logged is not None and logged.error is not None:
        raise logged.error
