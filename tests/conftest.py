"""What all tests share: the development images, and small images and bundles made on the spot."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from PIL import Image

from synthetic import draw_dataset, noisy_gradient

ROOT = Path(__file__).resolve().parents[1]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail for a skip that .ci/skips.txt does not list, where SKIPS_LISTED asks for that.

    A workflow on a fresh computer would otherwise be green without what it lacks.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or "SKIPS_LISTED" not in os.environ:
        return
    lines = (ROOT / ".ci" / "skips.txt").read_text(encoding="utf-8").splitlines()
    listed = [re.compile(line) for line in lines if line and not line.startswith("#")]
    reasons = {
        report.longrepr[2].removeprefix("Skipped: ")
        for report in reporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    }
    for reason in sorted(reasons):
        if not any(pattern.search(reason) for pattern in listed):
            reporter.write_line(f"not listed in .ci/skips.txt: {reason}", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


# Tests never time; a slow machine is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def no_installed_bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a developer has installed with ``cxr-edge install`` is not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of development images; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the development images are not here")
    return SHARED


@pytest.fixture(scope="session")
def golden_bundle() -> Path:
    """A tiny bundle of the present schema, kept as it was written."""
    return Path(__file__).parent / "runtime" / "bundle" / "golden" / "bundle-v2"


@pytest.fixture
def make_image(tmp_path: Path) -> Callable[..., Path]:
    """Write a grey gradient with some noise as an image file."""

    def make(name: str = "film.png", *, size: tuple[int, int] = (96, 80), seed: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy_gradient(size, seed)).save(path)
        return path

    return make


@dataclass(frozen=True)
class TinyRoad:
    """A drawn data set after clean, split and train, made once for all tests."""

    root: Path
    metadata: Path
    splits: Path
    run: Path
    cache: Path


@pytest.fixture(scope="session")
def tiny_source(trained: TinyRoad) -> Any:
    """The run of :func:`trained` as the start of a conversion."""
    from cxr_edge_convert.sources import run_source
    from cxr_edge_train.progress import no_progress

    return run_source(trained.run, root=None, cache_dir=trained.cache, progress=no_progress)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TinyRoad:
    """300 patients a label give the 100 validation positives that a checked recall needs."""
    from cxr_edge_train.cleaning.clean import clean
    from cxr_edge_train.dataset.metadata import read_metadata, write_splits
    from cxr_edge_train.dataset.splits import assign_splits

    root = tmp_path_factory.mktemp("pipeline")
    metadata, splits = root / "clean_metadata.csv", root / "splits.csv"
    clean(draw_dataset(root / "data", patients=300, test_patients=10), metadata)
    write_splits(splits, assign_splits(read_metadata(metadata), seed=0))
    road = TinyRoad(root, metadata, splits, root / "run", root / "cache")
    _train(road)
    return road


@pytest.fixture(scope="session")
def locator(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a lung locator that takes what is dark for lung."""
    from locators import make_locator

    return make_locator(tmp_path_factory.mktemp("locator"))


@pytest.fixture(scope="session")
def trained_on_lungs(trained: TinyRoad, locator: Any) -> TinyRoad:
    """A run from the same images with a lung locator."""
    road = replace(trained, run=trained.root / "run-on-lungs")
    _train(road, locator=locator)
    return road


def _train(road: TinyRoad, **more: Any) -> None:
    from cxr_edge_train import architectures
    from cxr_edge_train.dataset.metadata import read_metadata, read_splits
    from cxr_edge_train.fitting.task import TrainingTask
    from cxr_edge_train.fitting.training import train_run
    from cxr_edge_train.recipe import Augmentation, Fit, Model, Recipe
    from tiny_model import TINY

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(architectures, "ARCHITECTURES", {"tiny": TINY})
        task = TrainingTask.of(
            read_splits(road.splits, read_metadata(road.metadata)),
            architecture="tiny",
            weights=None,
            recipe=Recipe(
                Model(image_size=32, dropout=0.0),
                Augmentation(crop=0.8),
                Fit(batch_size=20, head_epochs=1, epochs=3, learning_rate=3e-3),
            ),
            seed=0,
            root=road.root,
            **more,
        )
        train_run(task, output=road.run, cache_dir=road.cache)


@pytest.fixture(scope="session")
def outlined(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Films with two dark ellipses as lungs and their masks, cleaned and split."""
    from locators import draw_outlined

    return draw_outlined(tmp_path_factory.mktemp("outlined"))
