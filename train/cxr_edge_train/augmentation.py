"""Augmentation of training images: geometry, photometry, and what devices leave on a film.

It works on ``uint8`` grey arrays with Pillow, the library that also prepares images on the device,
so it is the same for every Keras backend and never enters the saved model. Images are not mirrored,
since the heart lies on the left.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from cxr_edge_train.recipe import Augmentation

Pixels = NDArray[np.uint8]
# How many times as wide and high as model input the films are that are cropped for training: a crop
# of half the area then has as many pixels as model input.
CROPPED_FROM = 1.5
# Width by height of a crop at most, or its reciprocal; and how often one is drawn that fits.
_CROP_ASPECT, _CROP_TRIES = 4 / 3, 10
_MARKERS = ("R", "L", "AP", "PA", "SUPINE", "ERECT", "PORTABLE")


def random_crop(
    pixels: Pixels, side: int, settings: Augmentation, random: np.random.Generator
) -> Pixels:
    """Crop a film at random and resize the crop to model input (Szegedy et al. 2015).

    Args:
        pixels: ``[H, W] uint8``, all that the model is shown.
        side: of the model input in pixels.
        settings: ``crop`` is the smallest area.
        random: source of all randomness; the same state gives the same crop.

    Returns:
        ``[side, side] uint8``. Of ten crops that are drawn the first that fits is taken; where
        none does, the whole film.
    """
    left, top, width, height = _crop(settings.crop, random)
    rows, columns = pixels.shape
    resized = Image.fromarray(pixels).resize(
        (side, side),
        Image.Resampling.BICUBIC,
        box=(left * columns, top * rows, (left + width) * columns, (top + height) * rows),
    )
    return np.asarray(resized, dtype=np.uint8)


def augment(pixels: Pixels, settings: Augmentation, random: np.random.Generator) -> Pixels:
    """Change one image at random.

    The order is that in which a film comes about: pose, exposure, processing at the console, marks
    on the film, scanning, storage.

    Args:
        pixels: ``[H, W] uint8``.
        settings: the strengths and probabilities.
        random: source of all randomness; the same state gives the same image.

    Returns:
        ``[H, W] uint8``.
    """
    image = _rotate(Image.fromarray(pixels), settings, random)
    image = _exposure(image, settings, random)
    steps: tuple[tuple[float, Callable[[Image.Image, np.random.Generator], Image.Image]], ...] = (
        (settings.equalize, _equalize),
        (settings.erase, _erase),
        (settings.marker, _markers),
        (settings.blur, _blur),
        (settings.sharpness, _sharpness),
        (settings.resolution, _resolution),
        (settings.noise, _noise),
        (settings.jpeg, _jpeg),
    )
    for probability, step in steps:
        if random.random() < probability:
            image = step(image, random)
    return np.asarray(image, dtype=np.uint8)


def _crop(smallest: float, random: np.random.Generator) -> tuple[float, float, float, float]:
    """Left, top, width and height of a random crop, as shares of the film's sides."""
    for _ in range(_CROP_TRIES):
        area = random.uniform(smallest, 1)
        aspect = np.exp(random.uniform(-1, 1) * np.log(_CROP_ASPECT))
        width, height = np.sqrt(area * aspect), np.sqrt(area / aspect)
        if max(width, height) <= 1:
            left, top = random.uniform(0, (1 - width, 1 - height))
            return left, top, width, height
    return 0.0, 0.0, 1.0, 1.0


def _rotate(image: Image.Image, settings: Augmentation, random: np.random.Generator) -> Image.Image:
    angle = random.uniform(-settings.rotation, settings.rotation)
    # What lies outside is black: the air beside a patient, or the collimated border.
    return image.rotate(angle, resample=Image.Resampling.BICUBIC)


def _exposure(
    image: Image.Image, settings: Augmentation, random: np.random.Generator
) -> Image.Image:
    grey = np.linspace(0.0, 1.0, 256)
    exponent = np.exp(random.uniform(-1, 1) * np.log1p(settings.gamma))
    curve = grey**exponent
    mean = np.asarray(image).mean() / 255
    factor = 1 + random.uniform(-settings.contrast, settings.contrast)
    curve = (curve - mean) * factor + mean
    curve += random.uniform(-settings.brightness, settings.brightness)
    return image.point(np.clip(curve * 255, 0, 255).round().astype(int).tolist())


def _equalize(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return Image.blend(image, ImageOps.equalize(image), random.uniform(0.3, 1.0))


def _erase(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Draw a flat rectangle of up to a quarter of each side, so that no single spot decides."""
    image = image.copy()
    x, y = random.uniform(-0.1, 0.9, size=2) * image.size
    w, h = random.uniform(0.08, 0.25, size=2) * image.size
    ImageDraw.Draw(image).rectangle((x, y, x + w, y + h), fill=int(random.integers(256)))
    return image


def _markers(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Draw one to three lead letters or burned-in texts near the borders."""
    width, height = image.size
    image = image.copy()
    draw = ImageDraw.Draw(image)
    for _ in range(random.integers(1, 4)):
        text = _MARKERS[random.integers(len(_MARKERS))]
        if random.random() < 0.4:
            hour, minute, second = random.integers((24, 60, 60))
            text = f"{hour:02}:{minute:02}:{second:02}"
        size = random.uniform(0.035, 0.09) * height
        x = random.choice([random.uniform(0.0, 0.2), random.uniform(0.7, 0.95)]) * width
        y = random.choice([random.uniform(0.0, 0.3), random.uniform(0.75, 0.95)]) * height
        shades = (255, int(random.integers(160, 256)), int(random.integers(0, 60)))
        fill = shades[random.integers(3)]
        font = ImageFont.load_default(size)
        if random.random() < 0.3:
            box = draw.textbbox((x, y), text, font=font)
            draw.rectangle(box, fill=255 - fill)
        draw.text((x, y), text, fill=fill, font=font)
    return image


def _blur(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.5)))


def _sharpness(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return ImageEnhance.Sharpness(image).enhance(random.uniform(0.0, 3.0))


def _resolution(image: Image.Image, random: np.random.Generator) -> Image.Image:
    scale = random.uniform(0.4, 1.0)
    down = Image.Resampling.BICUBIC if random.random() < 0.5 else Image.Resampling.BILINEAR
    width, height = image.size
    small = image.resize((max(8, int(width * scale)), max(8, int(height * scale))), down)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def _noise(image: Image.Image, random: np.random.Generator) -> Image.Image:
    samples = np.asarray(image, dtype=np.float32)
    noise = random.standard_normal(samples.shape, dtype=np.float32) * random.uniform(1, 8)
    return Image.fromarray(np.clip(samples + noise, 0, 255).round().astype(np.uint8))


def _jpeg(image: Image.Image, random: np.random.Generator) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(random.integers(30, 96)))
    return Image.open(buffer).convert("L")
