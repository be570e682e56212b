"""The pages of a TIFF that has several."""

import struct

from cxr_edge_runtime.errors import UnsupportedImage
from cxr_edge_runtime.images.directories import SUB_DIRECTORIES, Block, Directory

# Tags: what a page is, as bits, and as the older tag's number.
_KIND, _OLD_KIND = 254, 255
_SMALLER_COPY, _MASK, _OLD_SMALLER_COPY = 1, 4, 2
_MAX_PAGES = 1000


def check_pages(block: Block, name: str) -> None:
    """Refuse a TIFF of several pages, other than smaller copies and masks of the first.

    Args:
        block: the file.
        name: what error messages call the image.

    Raises:
        UnsupportedImage: there are several pages, or the first is a preview of something else.
    """
    first = block.directory(block.first)
    pages, further, at = 1, 0, first.following
    seen = {block.first}
    while at and at not in seen and len(seen) < _MAX_PAGES:
        seen.add(at)
        try:
            page = block.directory(at)
        except struct.error:
            break  # Pillow calls the file one of several pages, but there is nothing to show
        except ValueError:
            pages += 1  # more than can be looked at
            break
        further += 1
        pages += not _belongs_to_another(block, page)
        at = page.following
    if pages > 1:
        raise UnsupportedImage(f"{name}: a TIFF with {pages} pages; export only the film")
    has_others = further or any(entry.tag == SUB_DIRECTORIES for entry in first.entries)
    if has_others and _belongs_to_another(block, first):
        raise UnsupportedImage(
            f"{name}: a TIFF whose first page is a preview; export the film itself"
        )


def _belongs_to_another(block: Block, page: Directory) -> bool:
    """Whether a page says that it is a smaller copy or a mask."""
    for entry in page.entries:
        if entry.tag in (_KIND, _OLD_KIND):
            try:
                (kind,) = block.numbers(entry, at_most=1)
            except (struct.error, ValueError):
                continue
            if entry.tag == _KIND and kind & (_SMALLER_COPY | _MASK):
                return True
            if entry.tag == _OLD_KIND and kind == _OLD_SMALLER_COPY:
                return True
    return False
