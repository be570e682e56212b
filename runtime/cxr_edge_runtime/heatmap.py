"""A film with the network's activation map over it."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

# The longer side of the picture, pixels; enough for a screen.
_SIDE = 1024
# Okabe and Ito's vermilion and blue, which the colour-blind can tell apart.
_FOR, _AGAINST = (213, 94, 0), (0, 114, 178)
# The most that colour covers of the film.
_OPACITY = 0.6
# Contributions to the logit that are shown in full colour at least; maps of a network that hardly
# decides stay pale.
_FULL = 4.0
_CAPTION = 22


def draw_heatmap(
    pixels: NDArray[np.uint8],
    activation_map: NDArray[np.float32],
    caption: str,
    *,
    positive_label: str,
) -> Image.Image:
    """Colour a film by what each place adds to the logit: vermilion for, blue against.

    Args:
        pixels: ``[H, W] uint8``.
        activation_map: ``[h, w]`` of the same film; its mean is the logit.
        caption: a line below the film; what does not fit is cut off.
        positive_label: what the logit speaks for; named below.

    Returns:
        RGB, at most 1024 pixels a side without the caption.
    """
    film = Image.fromarray(pixels)
    film.thumbnail((_SIDE, _SIDE))
    strongest = max(float(np.abs(activation_map).max()), _FULL)
    scaled = Image.fromarray((activation_map / strongest).astype(np.float32))
    shares = np.asarray(scaled.resize(film.size, Image.Resampling.BICUBIC))
    coloured = film.convert("RGB")
    for colour, share in ((_FOR, shares), (_AGAINST, -shares)):
        mask = (np.clip(share, 0, 1) * (255 * _OPACITY)).astype(np.uint8)
        coloured.paste(colour, mask=Image.fromarray(mask))
    whole = Image.new("RGB", (coloured.width, coloured.height + 2 * _CAPTION))
    whole.paste(coloured)
    draw = ImageDraw.Draw(whole)
    draw.text((6, coloured.height + 3), caption, fill="white", font=ImageFont.load_default(14))
    draw.text(
        (6, coloured.height + _CAPTION),
        f"orange: for {positive_label}, blue: against",
        fill="white",
        font=ImageFont.load_default(12),
    )
    return whole
