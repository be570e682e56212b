"""What a TIFF says of its samples, and what of that Pillow reads wrongly or not at all."""

import struct
from dataclasses import dataclass

from cxr_edge_runtime.errors import UnsupportedImage
from cxr_edge_runtime.images.directories import Block, Directory

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 259, 262, 274
_CHANNELS, _PLANAR, _SUBSAMPLING, _FORMAT = 277, 284, 530, 339
_UNCOMPRESSED, _JPEGS = 1, frozenset({6, 7})
_APART, _SIGNED = 2, 2
# PhotometricInterpretation: what the lowest sample is, and colour models.
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _CMYK, _YCBCR = 0, 1, 2, 5, 6
_ADVICE = "export it as 8 or 16 bits, grey"


@dataclass(frozen=True, slots=True)
class Samples:
    """What a directory says; of tags that are absent or damaged, what Pillow assumes.

    Attributes:
        width: pixels of a stored row.
        height: stored rows.
        bits: bits of a sample.
        compression: number of the compression.
        photometric: number of the colour model; None where it is not stated.
        channels: samples of a pixel.
        is_planar: whether each channel lies apart.
        signed: whether samples are signed.
        subsampling: of the chroma of YCbCr, across and down.
        orientation: of the stored rows, 1 to 8.
        big_endian: whether the highest byte comes first.
    """

    width: int
    height: int
    bits: int
    compression: int
    photometric: int | None
    channels: int
    is_planar: bool
    signed: bool
    subsampling: tuple[int, ...]
    orientation: int
    big_endian: bool

    @classmethod
    def of(cls, block: Block, directory: Directory) -> "Samples":
        """Read what a directory says."""
        found: dict[int, tuple[int, ...]] = {}
        for entry in directory.entries:
            try:
                found.setdefault(entry.tag, block.numbers(entry, at_most=2))
            except struct.error:
                continue

        def first(tag: int, otherwise: int) -> int:
            return found[tag][0] if found.get(tag) else otherwise

        return cls(
            width=first(_WIDTH, 0),
            height=first(_LENGTH, 0),
            bits=first(_BITS, 1),
            compression=first(_COMPRESSION, _UNCOMPRESSED),
            photometric=found[_PHOTOMETRIC][0] if found.get(_PHOTOMETRIC) else None,
            channels=first(_CHANNELS, 1),
            is_planar=first(_PLANAR, 1) == _APART,
            signed=first(_FORMAT, 1) == _SIGNED,
            subsampling=found.get(_SUBSAMPLING, (2, 2)),
            orientation=first(_ORIENTATION, 1),
            big_endian=block.order == ">",
        )

    @property
    def is_compressed(self) -> bool:
        """Whether libtiff decodes it; Pillow reads what is not compressed by itself."""
        return self.compression != _UNCOMPRESSED

    @property
    def bytes_a_pixel(self) -> int:
        """Bytes of a decoded pixel, as libtiff holds them."""
        return (self.bits * self.channels + 7) // 8

    @property
    def turned_bytes(self) -> int:
        """Bytes of the copy that Pillow makes of an image that is not stored upright."""
        pixel = 4 if self.channels > 1 or self.bits > 16 else (self.bits + 7) // 8
        return self.width * self.height * pixel if 2 <= self.orientation <= 8 else 0

    def __str__(self) -> str:
        """For a message, as far as it decides whether Pillow reads the file."""
        said = [f"{self.bits} bits per sample", f"colour model {self.photometric}"]
        said += ["signed"] * self.signed
        said += [f"compression {self.compression}"] * self.is_compressed
        said += [f"{self.channels} channels"] * (self.channels > 1)
        said += ["big-endian"] * self.big_endian
        return ", ".join(said)


def check_samples(samples: Samples, name: str) -> None:
    """Refuse what Pillow would silently read wrongly.

    Args:
        samples: what the first directory says.
        name: what error messages call the image.

    Raises:
        UnsupportedImage: samples have more than 16 bits or are signed, channels lie apart in a way
            that Pillow mixes up, chroma is subsampled without compression, or it is
            not said whether 0 is black.
    """
    if samples.bits > 16:
        # Whatever values occur: one film of a series must not be read and the next refused.
        what = f"a TIFF with {samples.bits} bits per sample"
    elif samples.signed:
        # Pillow wraps those of 8 bits, and of 16 it is unknown whether the range begins at 0.
        what = "a TIFF with signed samples"
    elif samples.photometric is None and samples.compression not in _JPEGS:
        # Pillow then takes 0 for white, other programs for black.
        what = "a TIFF that does not say whether 0 is black or white"
    elif samples.compression in _JPEGS and samples.bits > 8:
        what = f"a TIFF with a JPEG of {samples.bits} bits per sample"
    elif not samples.is_compressed and samples.is_planar and not _reads_planes(samples):
        what = "a TIFF stored in planes (PlanarConfiguration 2)"
    elif (
        not samples.is_compressed
        and samples.photometric == _YCBCR
        and samples.channels > 1
        and samples.subsampling != (1, 1)
    ):
        what = "an uncompressed TIFF with subsampled chroma"
    else:
        return
    raise UnsupportedImage(f"{name}: {what}; {_ADVICE}")


def _reads_planes(samples: Samples) -> bool:
    """Whether Pillow finds each plane: by a letter of the mode that it reads the file in."""
    return samples.bits == 8 and samples.photometric in (_MIN_IS_BLACK, _RGB, _CMYK)


def check_known(content: bytes, name: str) -> None:
    """Say of a TIFF that Pillow does not know whether that is for its samples.

    Raises:
        UnsupportedImage: its directory is whole, so its kind of samples is what is unknown.
    """
    try:
        block = Block(content)
        samples = Samples.of(block, block.directory(block.first))
    except (struct.error, ValueError):
        return
    if samples.width and samples.height:
        raise UnsupportedImage(f"{name}: a TIFF with {samples}, which is not supported; {_ADVICE}")
