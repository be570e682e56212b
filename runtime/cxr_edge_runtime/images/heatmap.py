"""A film with the network's activation map over it."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cxr_edge_runtime.preprocess import WHOLE_FILM, Box

# The longer side of the picture, pixels: enough for a screen, and for a caption to be read.
LONGEST, _SHORTEST = 1024, 512
# Okabe and Ito's vermilion and blue, which the colour-blind can tell apart.
_FOR, _AGAINST = (213, 94, 0), (0, 114, 178)
# Their yellow, which no film has.
_OUTLINE, _OUTLINE_WIDTH = (240, 228, 66), 2
# The most that colour covers of the film.
_OPACITY = 0.6
# Contributions to the logit that are shown in full colour at least; maps of a network that hardly
# decides stay pale.
_FULL = 4.0
_LEGEND = "orange: for {}, blue: against, compared with normal films; the map is coarse"
_BOX_LEGEND = "the box is what the model looked at"
_LINE, _MARGIN, _TEXT = 20, 6, 14


def draw_heatmap(
    pixels: NDArray[np.uint8],
    activation_map: NDArray[np.float32],
    captions: Sequence[str],
    *,
    positive_label: str,
    box: Box | None = None,
) -> Image.Image:
    """Colour a film by what each part adds to the decision: vermilion for, blue against.

    Args:
        pixels: ``[H, W] uint8``.
        activation_map: ``[h, w]`` of the same film, or of the box in it; its mean has the sign of
            the decision. Zeros show the film alone.
        captions: paragraphs below the film, each in as many lines as it needs.
        positive_label: what values above 0 support; named below the film.
        box: what the model looked at of the film, which is outlined; None where it was all of it.

    Returns:
        RGB, the longer side of the film 512 to 1024 pixels.
    """
    film = Image.fromarray(pixels)
    side = min(max(max(film.size), _SHORTEST), LONGEST)
    scale = side / max(film.size)
    # Of a film 2,048 times as wide as high nothing would be left.
    film = film.resize((max(1, round(film.width * scale)), max(1, round(film.height * scale))))
    strongest = max(float(np.abs(activation_map).max()), _FULL)
    scaled = Image.fromarray((activation_map / strongest).astype(np.float32))
    sides = (box or WHOLE_FILM).in_pixels(*film.size)
    (left, top), (right, bottom) = map(math.floor, sides[:2]), map(math.ceil, sides[2:])
    shares = np.asarray(scaled.resize((right - left, bottom - top), Image.Resampling.BICUBIC))
    coloured = film.convert("RGB")
    for colour, share in ((_FOR, shares), (_AGAINST, -shares)):
        mask = (np.clip(share, 0, 1) * (255 * _OPACITY)).astype(np.uint8)
        coloured.paste(colour, (left, top), mask=Image.fromarray(mask))
    # A film alone has no colours to explain.
    legend = [_LEGEND.format(positive_label)] if activation_map.any() else []
    if box is not None:
        corners = (left, top, right - 1, bottom - 1)
        ImageDraw.Draw(coloured).rectangle(corners, outline=_OUTLINE, width=_OUTLINE_WIDTH)
        legend.append(_BOX_LEGEND)
    font = ImageFont.load_default(_TEXT)
    paragraphs = (*captions, *(["; ".join(legend)] if legend else []))
    lines = [line for text in paragraphs for line in _wrapped(text, coloured.width, font)]
    whole = Image.new("RGB", (coloured.width, coloured.height + _LINE * len(lines) + _MARGIN))
    whole.paste(coloured)
    draw = ImageDraw.Draw(whole)
    for number, line in enumerate(lines):
        draw.text((_MARGIN, coloured.height + 2 + _LINE * number), line, fill="white", font=font)
    return whole


def _wrapped(
    text: str, width: int, font: "ImageFont.FreeTypeFont | ImageFont.ImageFont"
) -> list[str]:
    """A text in lines that fit the width."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width - 2 * _MARGIN or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
