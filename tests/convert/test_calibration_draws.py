import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clouds import draw_clouds
from cxr_edge_convert.calibration_draws import calibration_draws
from cxr_edge_convert.sources import Source
from cxr_edge_runtime.errors import InvalidRequest


def test_validation_calibrates_nothing(tiny_source: Source) -> None:
    draws = calibration_draws(tiny_source, None, count=300, seed=0)
    assert len(draws) == 2
    for draw in draws:
        assert len(draw.pixels) == 300
        for film in tiny_source.validation_pixels:
            assert not (draw.pixels == film).all(axis=(1, 2, 3)).any()


def test_folder_may_not_show_validation_images(
    tiny_source: Source, tiny_road: Any, tmp_path: Path
) -> None:
    draw_clouds(tmp_path, 60)
    [draw] = calibration_draws(tiny_source, tmp_path, count=300, seed=0)
    assert len(draw.pixels) == 60
    film = tiny_road.root / tiny_source.validation.table["path"][0]
    copy = Path(shutil.copy(film, tmp_path / "NORMAL"))
    with pytest.raises(InvalidRequest, match=r"and 0 more show validation images; .* take them"):
        calibration_draws(tiny_source, tmp_path, count=300, seed=0)
    # Other bytes and another size, the same film.
    copy.unlink()
    for label in ("NORMAL", "PNEUMONIA"):  # both labels give as many
        with Image.open(film) as image:
            image.resize((128, 128)).save(tmp_path / label / "again.jpeg", quality=80)
    with pytest.raises(InvalidRequest, match=r"again\.jpeg and .* more show validation images"):
        calibration_draws(tiny_source, tmp_path, count=300, seed=0)
