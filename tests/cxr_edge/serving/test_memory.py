"""The server as docs/cxr-edge.service runs it keeps within the unit's memory."""

import io

import numpy as np
import pytest
from PIL import Image

from serving import UNIT_MB, served


def large_film(seed: int) -> bytes:
    """A grey JPEG of 29 million pixels, of the largest that are taken."""
    coarse = np.random.default_rng(seed).integers(0, 256, (64, 50), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((4800, 6080), Image.Resampling.BILINEAR).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize("query", ["", "force=true&map=true&picture=true"])
def test_two_of_the_largest_grey_films_at_once_fit_into_the_units_memory(query: str) -> None:
    done = served(*map(large_film, range(2)), query=query)
    assert done.statuses == [200] * 2
    assert done.peak_mb < UNIT_MB
    assert done.cpu_seconds < 60
