"""Many images on all cores.

Each worker is a thread with an engine of its own that uses one thread: an image's decoding, its
resizing and the engine all let go of Python's lock, so as many images as there are cores are under
way at once, and no core waits for the parts of the work that cannot be divided. Results come in the
order of the images.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

from cxr_edge_runtime.classifier import Classifier, Prediction
from cxr_edge_runtime.errors import CxrEdgeError, EngineError, ImageError

# Images taken ahead of the one whose result is due, a worker: one slow film keeps few waiting,
# and no more than so many results wait in memory.
_AHEAD = 4

# What came of an image: an answer, or the error that kept it from one.
Result = Prediction | CxrEdgeError


def classify_all(
    images: Iterable[tuple[Path, ImageError | None]],
    make_classifier: Callable[[], Classifier],
    *,
    workers: int,
    force: bool = False,
) -> Generator[tuple[Path, Result]]:
    """Classify images in turn, several at once.

    Args:
        images: paths, and what is wrong with one that is no image; taken as results are.
        make_classifier: called before any image is taken, then in each further thread that is
            needed.
        workers: threads; 1 works without any.
        force: see :meth:`Classifier.classify`.

    Yields:
        Each path with its result.

    Raises:
        CxrEdgeError: ``make_classifier`` failed.
    """
    if workers == 1:
        classifier = make_classifier()
        for path, error in images:
            yield path, error or _classified(classifier, path, force)
        return

    from concurrent.futures import Future, ThreadPoolExecutor
    from queue import Empty, SimpleQueue

    free: SimpleQueue[Classifier] = SimpleQueue()
    free.put(make_classifier())

    def work(path: Path, error: ImageError | None) -> Result:
        try:
            classifier = free.get_nowait()
        except Empty:  # more threads are at work than ever before
            classifier = make_classifier()
        try:
            return error or _classified(classifier, path, force)
        finally:
            free.put(classifier)

    waiting: deque[tuple[Path, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for path, error in images:
            waiting.append((path, pool.submit(work, path, error)))
            while waiting and (waiting[0][1].done() or len(waiting) >= _AHEAD * workers):
                path, result = waiting.popleft()
                yield path, result.result()
        while waiting:
            path, result = waiting.popleft()
            yield path, result.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _classified(classifier: Classifier, image: Path, force: bool) -> Result:
    try:
        return classifier.classify(image, force=force)
    except (ImageError, EngineError) as error:
        return error
