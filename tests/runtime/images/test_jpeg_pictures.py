import numpy as np
import pytest
from PIL import Image

from crafted_images import film_jpeg, jpeg_of_pictures
from cxr_edge_runtime.errors import UnsupportedImage
from cxr_edge_runtime.images import load_grey
from synthetic import encoded, noisy_gradient

VGA, FULL_HD, UNDEFINED, PANORAMA, SECOND_EYE = 0x010001, 0x010002, 0, 0x020001, 0x020002
GAIN_MAP = b'http://ns.adobe.com/xap/1.0/\0 xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"'


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kinds", [[], [VGA], [FULL_HD, VGA]])
def test_previews_of_a_camera_are_no_other_pictures(order: str, kinds: list[int]) -> None:
    found = load_grey(jpeg_of_pictures(kinds, order=order)).pixels
    np.testing.assert_array_equal(found, load_grey(film_jpeg()).pixels)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kinds", [[UNDEFINED], [SECOND_EYE], [PANORAMA] * 2, [VGA, UNDEFINED]])
def test_jpeg_of_several_pictures_is_refused(order: str, kinds: list[int]) -> None:
    count = 1 + len(kinds)
    with pytest.raises(UnsupportedImage, match=f"image: a JPEG with {count} pictures; export only"):
        load_grey(jpeg_of_pictures(kinds, order=order))


def test_gain_map_of_a_telephone_is_no_other_picture() -> None:
    assert load_grey(jpeg_of_pictures([UNDEFINED], mark=GAIN_MAP)).pixels.shape == (80, 96)


def test_pictures_as_pillow_writes_them_are_refused() -> None:
    films = [Image.fromarray(noisy_gradient((90, 70), seed)) for seed in range(3)]
    with pytest.raises(UnsupportedImage, match="a JPEG with 3 pictures"):
        load_grey(encoded(films[0], "MPO", save_all=True, append_images=films[1:]))


def test_damaged_list_of_pictures_is_passed_over() -> None:
    content = jpeg_of_pictures([UNDEFINED])
    at = content.index(b"MPF\0") + 4
    for damage in (b"XX", b"II*\0\xff\xff\xff\xff"):
        damaged = content[:at] + damage + content[at + len(damage) :]
        assert load_grey(damaged).pixels.shape == (80, 96)
