"""The check of a picture's header, by what it begins with; that of JPEG is in :mod:`.opening`."""

from cxr_edge_runtime.images.bmp_header import check_bmp
from cxr_edge_runtime.images.png_header import check_png
from cxr_edge_runtime.images.signatures import is_bmp, is_png, is_tiff, is_webp
from cxr_edge_runtime.images.tiff_header import check_tiff
from cxr_edge_runtime.images.webp_header import check_webp


def check_header(content: bytes, name: str) -> int:
    """Refuse a PNG, TIFF, WebP or BMP that would cost much as soon as Pillow opens it.

    Args:
        content: the bytes of the file; of other kinds Pillow says what they are.
        name: what error messages call the image.

    Returns:
        How many bytes the decoder will hold besides the file and the pixels.

    Raises:
        ImageError: as the check of its kind.
    """
    if is_png(content):
        return check_png(content, name)
    if is_tiff(content):
        return check_tiff(content, name)
    if is_webp(content):
        return check_webp(content, name)
    if is_bmp(content):
        check_bmp(content, name)
    return 0
