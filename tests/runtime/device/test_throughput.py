import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.device import throughput as benchmarking
from cxr_edge_runtime.device.throughput import drawn_film, measure_stages, measure_throughput
from cxr_edge_runtime.errors import UnreadableImage
from cxr_edge_runtime.images import load_grey


@pytest.fixture
def bundle(golden_bundle: Path) -> Bundle:
    return Bundle.load(golden_bundle)


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarking, "_ENOUGH_S", 0.0)


def test_drawn_film_is_always_the_same_and_of_the_size_of_an_original() -> None:
    film = drawn_film()
    assert film == drawn_film()
    assert load_grey(film).pixels.shape == (1357, 1654)
    assert 300_000 < len(film) < 1_500_000


def test_stages_add_up(bundle: Bundle, make_image: Callable[..., Path]) -> None:
    stages = measure_stages(bundle, [make_image()])
    assert list(stages) == ["decode", "preprocess", "invoke", "all"]
    for values in stages.values():
        assert 0 < values.p50 <= values.p95 <= values.p99
    assert stages["all"].p99 >= max(values.p50 for values in stages.values())


@pytest.mark.parametrize("workers", [1, 3])
def test_throughput_counts_the_films_it_classified(
    bundle: Bundle, make_image: Callable[..., Path], workers: int
) -> None:
    images = [make_image(f"{number}.png") for number in range(15)]
    throughput = measure_throughput(bundle, images, workers=workers)
    assert throughput.workers == workers
    assert throughput.films == 15  # every image at least once
    assert throughput.films_per_second > 0
    assert throughput.peak_memory_mb > 10


def test_rate_is_films_by_seconds(
    bundle: Bundle, make_image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    image = make_image()
    monkeypatch.setattr(benchmarking.time, "perf_counter", lambda: float(next(ticks)))
    throughput = measure_throughput(bundle, [image], workers=1)
    # The stub's clock is the classifier's too: five readings a film.
    assert throughput.films == 10
    assert throughput.films_per_second == pytest.approx(10 / (10 * 5), rel=0.2)


def test_image_that_cannot_be_used_is_no_measurement(bundle: Bundle, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(UnreadableImage, match=r"broken\.png: not a JPEG"):
        measure_throughput(bundle, [broken], workers=2)
