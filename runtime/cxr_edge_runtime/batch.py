"""Decoding and classifying, for one image and for many.

Of many, each worker is a thread with an engine of its own that uses one thread: an image's
decoding, its resizing and the engine all let go of Python's lock, so as many images as there are
cores are under way at once, and no core waits for the parts of the work that cannot be divided.
Results come in the order of the images. What takes long to make of a prediction, such as a heat
map, is made in the worker, right after the classification, so that no result that waits for its
turn holds an activation map.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import TypeVar, overload

from cxr_edge_runtime.classifier import Classifier, Prediction
from cxr_edge_runtime.errors import CxrEdgeError, EngineError, ImageError
from cxr_edge_runtime.images import ImageSource

# Images per worker that are taken ahead of the one whose result is due: one slow film keeps few
# waiting, and no more than so many results wait in memory.
_AHEAD = 4

# What came of an image: a prediction, or the error that kept it from one.
Result = Prediction | CxrEdgeError

# What a caller makes of a prediction.
R = TypeVar("R")
# None: the next image is not there yet.
Images = Iterable[tuple[Path, ImageError | None] | None]


def classify_image(
    classifier: Classifier,
    image: ImageSource,
    *,
    name: str | None = None,
    force: bool = False,
    mapped: bool = False,
) -> Result:
    """Classify an image; the prediction has the SHA-256 of its file.

    Args:
        classifier: of the calling thread.
        image: see :func:`cxr_edge_runtime.images.load_grey`.
        name: what error messages call the image; by default its path.
        force: predict also where the gate rejects the image.
        mapped: give the activation map with the prediction.

    Returns:
        The prediction, or the error of the image or the engine.
    """
    try:
        return classifier.classify(image, name=name, force=force, hashed=True, mapped=mapped)
    except (ImageError, EngineError) as error:
        # Tracebacks hold the file's bytes, which a server would keep until garbage is collected.
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)


@overload
def classify_all(
    images: Images,
    make_classifier: Callable[[], Classifier],
    *,
    workers: int,
    force: bool = ...,
    mapped: bool = ...,
) -> Generator[tuple[Path, Result]]: ...


@overload
def classify_all(
    images: Images,
    make_classifier: Callable[[], Classifier],
    *,
    workers: int,
    force: bool = ...,
    mapped: bool = ...,
    finish: Callable[[Path, Prediction], R],
) -> Generator[tuple[Path, R | CxrEdgeError]]: ...


def classify_all(
    images: Images,
    make_classifier: Callable[[], Classifier],
    *,
    workers: int,
    force: bool = False,
    mapped: bool = False,
    finish: Callable[[Path, Prediction], object] | None = None,
) -> Generator[tuple[Path, object]]:
    """Classify images in turn, several at once.

    Args:
        images: paths, each with None, or with the error where it is not an image; taken as results
            are. None in the place of both says that the next image is not there yet: the results
            of those under way come before it is waited for.
        make_classifier: called before any image is taken, then in each further thread that is
            needed.
        workers: threads; 1 works without any.
        force: see :meth:`Classifier.classify`.
        mapped: see :meth:`Classifier.classify`.
        finish: called in the worker with each path and prediction.

    Yields:
        Each path with what ``finish`` returned, by default the prediction; or with its error.

    Raises:
        CxrEdgeError: ``make_classifier`` failed.
    """

    def result_of(classifier: Classifier, path: Path) -> object:
        result = classify_image(classifier, path, force=force, mapped=mapped)
        if finish is None or isinstance(result, CxrEdgeError):
            return result
        return finish(path, result)

    if workers == 1:
        classifier = make_classifier()
        for image in images:
            if image is not None:
                path, error = image
                yield path, error or result_of(classifier, path)
        return

    from concurrent.futures import Future, ThreadPoolExecutor
    from queue import Empty, SimpleQueue

    free: SimpleQueue[Classifier] = SimpleQueue()
    free.put(make_classifier())

    def work(path: Path, error: ImageError | None) -> object:
        try:
            classifier = free.get_nowait()
        except Empty:  # more threads are at work than ever before
            classifier = make_classifier()
        try:
            return error or result_of(classifier, path)
        finally:
            free.put(classifier)

    waiting: deque[tuple[Path, Future[object]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for image in images:
            if image is not None:
                path, error = image
                waiting.append((path, pool.submit(work, path, error)))
            most = 0 if image is None else _AHEAD * workers - 1
            while waiting and (waiting[0][1].done() or len(waiting) > most):
                path, future = waiting.popleft()
                yield path, future.result()
        while waiting:
            path, future = waiting.popleft()
            yield path, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
