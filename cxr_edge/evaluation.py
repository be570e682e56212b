"""``cxr_edge.evaluate``: a run or a bundle measured on labelled images."""

from dataclasses import replace
from pathlib import Path

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.process.keras_backend import load_quietly
from cxr_edge_runtime.arguments import as_path, check_callables, optional_path
from cxr_edge_runtime.bundle import MANIFEST, Bundle
from cxr_edge_runtime.classifier import as_threads
from cxr_edge_runtime.errors import RunError
from cxr_edge_runtime.files.outputs import check_apart
from cxr_edge_train.dataset.metadata import images_root
from cxr_edge_train.evaluation.bundle_subject import BundleSubject
from cxr_edge_train.evaluation.evaluation import Evaluation
from cxr_edge_train.evaluation.measure import check_request, measure
from cxr_edge_train.evaluation.subject import Subject
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.runs import RUN, UNFINISHED


def evaluate(
    subject: str | Path | Bundle,
    metadata: str | Path,
    splits: str | Path = "splits.csv",
    *,
    split: str = "validation",
    log: str | Path | None = None,
    output: str | Path | None = None,
    root: str | Path | None = None,
    threads: int = 1,
    progress: ProgressFactory = no_progress,
) -> Evaluation:
    """Measure a run in Keras, or a bundle in the engine that runs it on the device.

    Test labels are for the final metrics of a model that would ship. Each reading of them is
    appended to the log, whatever it says.

    Args:
        subject: folder of a run or of a bundle, name of a shipped bundle, or a bundle.
        metadata: ``clean_metadata.csv``, which :func:`cxr_edge.clean` writes.
        splits: ``splits.csv``, which :func:`cxr_edge.split` writes. ``all`` needs none; where the
            file is there, what it calls test is left out, too.
        split: ``validation``, ``test``, or ``all`` images except those that the metadata calls
            test.
        log: the file that readings of test labels are appended to: required for ``test``, refused
            otherwise. It is missing, empty or a log of earlier readings; what keeps
            nothing, such as a device, is refused.
        output: folder for ``evaluation.json``, ``evaluation.html``, ``predictions.csv`` and plots;
            None to write none.
        root: folder that the paths in the metadata are relative to; None for the folder of the
            metadata.
        threads: threads of a bundle's engine, 1 to 64.
        progress: makes the progress bar over the images.

    Returns:
        The metrics with their intervals, the confusion matrix, the share of correct decisions by
        kind, sensitivity and specificity of each subgroup, and warnings.

    Raises:
        InvalidRequest: an argument is of the wrong type, test is to be read without a log, the log
            cannot keep readings or holds something else, or the output holds something else, lies
            in the subject, or cannot be written.
        RunError: the folder is neither a finished run nor a bundle, or the run is damaged.
        BundleError: there is no such bundle, or it cannot be used.
        DatasetError: metadata, splits or images are missing, damaged or changed, or the splits call
            a test image of the metadata something else.
        ImageError: an image cannot be read or decoded.
        EngineError: the model cannot be loaded or computed no number.

    Examples:
        >>> from cxr_edge import evaluate
        >>> evaluation = evaluate("tiny", "clean_metadata.csv", "splits.csv")
        >>> evaluation.split, evaluation.metrics.auc.n == evaluation.n
        ('validation', True)
    """
    metadata, splits = as_path(metadata, "metadata"), as_path(splits, "splits")
    log, output = optional_path(log, "log"), optional_path(output, "output")
    check_callables(progress=progress)
    check_request(split, log=log, output=output)
    if output is not None:
        folder = subject.path if isinstance(subject, Bundle) else as_path(subject, "subject")
        check_apart(output, folder)
    opened = _open(subject, threads=as_threads(threads))
    evaluation = measure(
        opened,
        metadata,
        splits,
        split=split,
        log=log,
        output=output,
        root=images_root(root, default=metadata.resolve().parent),
        progress=progress,
    )
    if isinstance(opened, BundleSubject) and opened.is_rejected:
        rejected = "this model missed an accuracy limit when it was converted and was rejected"
        return replace(evaluation, warnings=(rejected, *evaluation.warnings))
    return evaluation


def _open(subject: str | Path | Bundle, *, threads: int) -> Subject:
    """A folder with ``run.json`` is a run; all else is taken for a bundle."""
    if isinstance(subject, Bundle):
        return BundleSubject(subject, threads=threads)
    folder = as_path(subject, "subject")
    if (folder / RUN).is_file():
        # Not above: a bundle is measured without Keras.
        load_quietly()
        from cxr_edge_train.evaluation.run_subject import RunSubject

        return RunSubject(folder)
    if (folder / UNFINISHED).exists():
        raise RunError(f"{folder}: is not finished; resume the training that started it")
    if folder.is_dir() and not (folder / MANIFEST).exists():
        raise RunError(f"{folder}: neither a finished run ({RUN}) nor a bundle ({MANIFEST})")
    return BundleSubject(load_bundle(str(subject)), threads=threads)
