import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from cxr_edge_runtime.batch import classify_all, classify_image
from cxr_edge_runtime.errors import EngineError, ImageNotFound, UnreadableImage

NAMES = [Path(f"{number}.png") for number in range(50)]


class _Classifier:
    """Gives the image's number back; some take long, two fail."""

    def __init__(self, *, slow: bool = False) -> None:
        self._slow = slow
        self._busy = False

    def classify(
        self, image: Path, *, name: str | None, force: bool, hashed: bool, mapped: bool
    ) -> tuple[int, bool]:
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


@pytest.mark.parametrize("workers", [2, 4])
def test_results_that_wait_for_a_slow_first_image_are_bounded(workers: int) -> None:
    go_on = threading.Event()
    done = []

    class SlowFirst(_Classifier):
        def classify(
            self, image: Path, *, name: str | None, force: bool, hashed: bool, mapped: bool
        ) -> tuple[int, bool]:
            if image == NAMES[0]:
                assert go_on.wait(60)
            done.append(image)
            return int(image.stem), force

    def images() -> Iterator[tuple[Path, None]]:
        for number, name in enumerate(NAMES):
            if number >= 4 * workers:
                # As many as may wait were taken: without a bound the first would never be let go.
                assert go_on.is_set()
            yield name, None

    def let_go() -> None:
        while len(done) < 4 * workers - 1:
            time.sleep(0.001)
        go_on.set()

    other = threading.Thread(target=let_go)
    other.start()
    results = classify_all(images(), SlowFirst, workers=workers)
    assert [path for path, _ in results] == NAMES
    other.join()


@pytest.mark.parametrize("workers", [1, 3])
def test_what_is_made_of_a_prediction_is_made_in_its_worker(workers: int) -> None:
    threads = set()

    def finish(path: Path, prediction: tuple[int, bool]) -> tuple[object, ...]:
        threads.add(threading.get_ident())
        return path, prediction[0]

    found = classify_all(
        ((name, None) for name in NAMES), _Classifier, workers=workers, finish=finish
    )
    for number, (path, result) in enumerate(found):
        if number in (7, 8):
            assert isinstance(result, UnreadableImage | EngineError)
        else:
            assert result == (path, number)
    assert (threading.get_ident() in threads) == (workers == 1)


def test_engines_are_made_for_the_threads_that_work_and_no_more() -> None:
    made = []

    def make() -> _Classifier:
        made.append(threading.get_ident())
        return _Classifier(slow=True)

    list(classify_all(((name, None) for name in NAMES), make, workers=3))
    assert 1 <= len(made) <= 3
    assert made[0] == threading.get_ident()  # before any image is taken
    made.clear()
    list(classify_all(((name, None) for name in NAMES[:2]), make, workers=40))
    assert len(made) <= 2


@pytest.mark.parametrize("workers", [1, 4])
def test_results_come_before_an_image_that_is_not_there_yet_is_waited_for(workers: int) -> None:
    given = []

    def images() -> Iterator[tuple[Path, None] | None]:
        yield None
        for count in (1, 3):
            for name in NAMES[1 : 1 + count]:
                yield name, None
            yield None
            # From here on the next one would be waited for.
            given.append(len(found))
        yield NAMES[9], None

    found = []
    for path, _ in classify_all(images(), _Classifier, workers=workers):
        found.append(path)
    assert given == [1, 4]
    assert found == [NAMES[1], *NAMES[1:4], NAMES[9]]


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


def test_error_that_is_a_result_does_not_keep_the_bytes_of_its_image() -> None:
    def damaged(content: bytes, **_: object) -> None:
        try:
            raise ValueError(f"a decoder met {len(content)} bytes")
        except ValueError as error:
            raise UnreadableImage("film: damaged") from error

    result = classify_image(Mock(classify=damaged), b"film")
    assert isinstance(result, UnreadableImage)
    assert (result.__traceback__, result.__cause__, result.__context__) == (None, None, None)
