"""What files begin with, by kind."""


def is_jpeg(content: bytes) -> bool:
    """Return whether the bytes begin as a JPEG does."""
    return content.startswith(b"\xff\xd8")


def is_png(content: bytes) -> bool:
    """Return whether the bytes begin as a PNG does."""
    return content.startswith(b"\x89PNG\r\n\x1a\n")


def is_tiff(content: bytes) -> bool:
    """Return whether the bytes begin as a TIFF does."""
    return content[:2] in (b"II", b"MM")


def is_webp(content: bytes) -> bool:
    """Return whether the bytes begin as a WebP does."""
    return content.startswith(b"RIFF") and content[8:12] == b"WEBP"


def is_bmp(content: bytes) -> bool:
    """Return whether the bytes begin as a BMP does."""
    return content.startswith(b"BM")
