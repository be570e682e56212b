import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxr_edge_runtime.batch import classify_all
from cxr_edge_runtime.errors import EngineError, ImageNotFound, UnreadableImage

NAMES = [Path(f"{number}.png") for number in range(50)]


class _Classifier:
    """Gives the image's number back; some take long, two fail."""

    def __init__(self, *, slow: bool = False) -> None:
        self._slow = slow
        self._busy = False

    def classify(self, image: Path, *, force: bool = False) -> tuple[int, bool]:
        # An engine belongs to one thread at a time.
        assert not self._busy
        self._busy = True
        try:
            number = int(image.stem)
            if self._slow and number % 10 == 0:
                time.sleep(0.02)
            if number == 7:
                raise UnreadableImage(f"{image}: damaged")
            if number == 8:
                raise EngineError("computed nan")
            return number, force
        finally:
            self._busy = False


def classified(workers: int, *, slow: bool = False, force: bool = False) -> list[tuple[Path, str]]:
    found = classify_all(
        ((name, None) for name in NAMES),
        lambda: _Classifier(slow=slow),
        workers=workers,
        force=force,
    )
    return [(path, str(result)) for path, result in found]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_images_errors_in_their_place(workers: int) -> None:
    found = classified(workers, slow=True)
    assert [path for path, _ in found] == NAMES
    for number, (_, result) in enumerate(found):
        expected = {7: "7.png: damaged", 8: "computed nan"}.get(number, f"({number}, False)")
        assert result == expected


def test_force_reaches_every_worker() -> None:
    assert classified(1, force=True) == classified(3, force=True)
    assert classified(3, force=True)[0][1] == "(0, True)"


@pytest.mark.parametrize("workers", [1, 3])
def test_what_is_no_image_is_passed_on(workers: int) -> None:
    error = ImageNotFound("x: no such file")
    [(path, result)] = classify_all([(Path("x"), error)], _Classifier, workers=workers)
    assert (path, result) == (Path("x"), error)


@pytest.mark.parametrize("workers", [1, 4])
def test_images_are_taken_as_results_are(workers: int) -> None:
    taken = []

    def images() -> Iterator[tuple[Path, None]]:
        for name in NAMES:
            taken.append(name)
            yield name, None

    results = classify_all(images(), _Classifier, workers=workers)
    next(results)
    assert len(taken) <= 4 * workers
    results.close()
    assert len(taken) <= 4 * workers


def test_each_worker_has_an_engine_of_its_own_and_none_is_made_later() -> None:
    made = []

    def make() -> _Classifier:
        made.append(threading.get_ident())
        return _Classifier()

    list(classify_all(((name, None) for name in NAMES), make, workers=3))
    assert made == [threading.get_ident()] * 3


@pytest.mark.parametrize("workers", [1, 3])
def test_engine_that_cannot_be_made_is_the_callers_error(workers: int) -> None:
    def fail() -> _Classifier:
        raise EngineError("no engine")

    with pytest.raises(EngineError, match="no engine"):
        list(classify_all([(NAMES[0], None)], fail, workers=workers))


def test_closing_early_ends_the_threads() -> None:
    before = threading.active_count()
    results = classify_all(((name, None) for name in NAMES), _Classifier, workers=4)
    next(results)
    assert threading.active_count() > before
    results.close()
    assert threading.active_count() == before
