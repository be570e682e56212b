"""Films and jobs for the parts of ``score``; what these tests start of Ray goes with them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cxr_edge.scoring.worker import Job
from cxr_edge_runtime.bundle import Bundle


@pytest.fixture
def films(make_image: Callable[..., Path]) -> list[str]:
    """Twelve films that differ."""
    return [str(make_image(f"films/film{number:02}.png", seed=number)) for number in range(12)]


@pytest.fixture
def make_job(golden_bundle: Path, tmp_path: Path) -> Callable[..., Job]:
    """A job that writes to ``tmp_path / "results"``."""

    def make(*, logged: bool = False, engine: str | None = None, mark: str | None = None) -> Job:
        (tmp_path / "results").mkdir(exist_ok=True)
        return Job.of(
            Bundle.load(golden_bundle),
            engine=engine,
            output=str(tmp_path / "results"),
            mark=mark,
            logged=logged,
        )

    return make
