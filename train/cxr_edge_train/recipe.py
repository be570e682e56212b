"""Recipes: hyper-parameters in a TOML file that is checked key by key; the rest has defaults."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from cxr_edge_runtime.arguments import as_path
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.typed_json import Bounds, TypedJsonError, from_json

# A share or a probability.
Share = Annotated[float, Bounds(minimum=0, maximum=1)]


@dataclass(frozen=True, slots=True)
class Model:
    """Shape of the network.

    Attributes:
        image_size: height and width of the input in pixels.
        alpha: width multiplier; 1 for architectures that have no other width.
        dropout: share of channels of the last feature map that are dropped during training.
    """

    image_size: Annotated[int, Bounds(minimum=32, maximum=1024)] = 224
    alpha: Annotated[float, Bounds(minimum=0.1, maximum=2)] = 1.0
    dropout: Annotated[float, Bounds(minimum=0, maximum=0.95)] = 0.3


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How strongly training images are changed; see :mod:`cxr_edge_train.augmentation`.

    Probabilities are per image; ranges are symmetric, and values are drawn from them uniformly. The
    defaults are those of the shipped classifiers. Settings whose default is 0 are used only to
    train the lung locator.

    Attributes:
        crop: smallest area of a random crop, as a share of what the model sees: the box of the
            lungs or, without a lung locator, the whole image. The width of a crop is 3/4 to 4/3 of
            its height, and it is resized to the model input; 1 turns cropping off.
        rotation: largest angle in degrees, in both directions.
        gamma: the exponent lies in ``[1 / (1 + gamma), 1 + gamma]``.
        contrast: contrast about the mean is scaled by ``1 ± contrast``.
        brightness: largest grey value that is added or subtracted, as a share of 255.
        equalize: probability of histogram equalisation, blended in with random strength.
        sharpness: probability of a random sharpening or softening.
        blur: probability of a Gaussian blur of up to 1.5 pixels.
        resolution: probability of reducing the image to 40–100% of its size and enlarging it again.
        noise: probability of Gaussian noise of up to 8 grey values.
        jpeg: probability of re-encoding as JPEG of quality 30–95.
        marker: probability of one to three side markers or burned-in texts.
        erase: probability of a flat rectangle at a random position.
    """

    crop: Annotated[float, Bounds(minimum=0.01, maximum=1)] = 0.3
    rotation: Annotated[float, Bounds(minimum=0, maximum=180)] = 10.0
    gamma: Annotated[float, Bounds(minimum=0, maximum=10)] = 0.6
    contrast: Share = 0.3
    brightness: Share = 0.1
    equalize: Share = 0.0
    sharpness: Share = 0.3
    blur: Share = 0.2
    resolution: Share = 0.2
    noise: Share = 0.2
    jpeg: Share = 0.5
    marker: Share = 0.0
    erase: Share = 0.0


@dataclass(frozen=True, slots=True)
class Fit:
    """The two phases of fitting.

    Attributes:
        batch_size: images per step.
        head_epochs: epochs with the backbone frozen; 0 if its weights start random.
        head_learning_rate: learning rate of Adam while the backbone is frozen.
        epochs: maximum number of epochs of fine-tuning.
        learning_rate: peak of the cosine schedule of fine-tuning. The shipped MobileNetV2s were
            trained on crops with 2e-3; VGG16 and DenseNet121 were only trained with less.
        warmup_epochs: epochs of linear increase to that peak.
        weight_decay: decoupled weight decay of AdamW.
        weight_average: momentum of the moving average of weights (Polyak and Juditsky 1992) that
            is measured and saved instead of the weights; 0 turns averaging off.
        keep: which epoch of fine-tuning is kept: the ``best``, with the highest AUC on validation
            (if equal, the one with the lower loss), the one with the lowest validation ``loss``,
            or the ``last``. If validation is too similar to training, its best epoch is not the
            best elsewhere.
        patience: with ``best`` and ``loss``, number of epochs without improvement before
            fine-tuning stops.
        precision: ``float32``, or ``mixed`` to compute in 16 bits on a GPU.
    """

    batch_size: Annotated[int, Bounds(minimum=1, maximum=4096)] = 32
    head_epochs: Annotated[int, Bounds(minimum=0, maximum=1000)] = 1
    head_learning_rate: Annotated[float, Bounds(minimum=1e-9, maximum=10)] = 1e-3
    epochs: Annotated[int, Bounds(minimum=1, maximum=1000)] = 12
    learning_rate: Annotated[float, Bounds(minimum=1e-9, maximum=10)] = 3e-4
    warmup_epochs: Annotated[float, Bounds(minimum=0, maximum=100)] = 0.5
    weight_decay: Share = 1e-4
    weight_average: Annotated[float, Bounds(minimum=0, maximum=0.99999)] = 0.0
    keep: Literal["best", "loss", "last"] = "best"
    patience: Annotated[int, Bounds(minimum=1, maximum=1000)] = 4
    precision: Literal["float32", "mixed"] = "mixed"


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a conversion determines the range of each tensor of an INT8 model; not used in fitting.

    Attributes:
        method: ``min-max`` over all calibration images, or ``percentile``, which clips rare
            values in exchange for finer steps.
        percentile: with that method, at most ``100 - percentile`` percent of a tensor's values are
            outside its range.
    """

    method: Literal["min-max", "percentile"] = "min-max"
    percentile: Annotated[float, Bounds(minimum=90, maximum=100)] = 99.99


@dataclass(frozen=True, slots=True)
class Recipe:
    """All hyper-parameters of a model."""

    model: Model = field(default_factory=Model)
    augmentation: Augmentation = field(default_factory=Augmentation)
    fit: Fit = field(default_factory=Fit)
    calibration: Calibration = field(default_factory=Calibration)


def as_recipe(recipe: "str | Path | Recipe | None") -> Recipe:
    """A recipe as the Python API takes it: a recipe, its file, or None for the defaults.

    Raises:
        InvalidRequest: it is neither, or the file cannot be used, see :func:`read_recipe`.
    """
    if isinstance(recipe, Recipe):
        return _checked(dataclasses.asdict(recipe), name="recipe")
    return Recipe() if recipe is None else read_recipe(as_path(recipe, "recipe"))


def read_recipe(path: Path) -> Recipe:
    """Read a recipe from a TOML file; what the file leaves out has its default.

    Raises:
        InvalidRequest: the file is missing or no TOML, or it has an unknown key, a value of the
            wrong type or one out of range.
    """
    return _checked(_sections_of(path), name=str(path))


def recipe_of_run(run: Path) -> Recipe:
    """Read the recipe that a run keeps; keys that only an earlier version had are ignored.

    Args:
        run: folder of the run.

    Raises:
        InvalidRequest: its ``recipe.toml`` is missing or damaged.
    """
    file = run / "recipe.toml"
    sections = _sections_of(file)
    for name, known in dataclasses.asdict(Recipe()).items():
        if isinstance(keys := sections.get(name), dict):
            sections[name] = {key: keys[key] for key in keys if key in known}
    return _checked(sections, name=str(file))


def parse_recipe(text: str, *, name: str = "recipe") -> Recipe:
    """Parse a recipe's TOML text; see :func:`read_recipe`."""
    return _checked(_sections(text, name), name=name)


def recipe_as_toml(recipe: Recipe) -> str:
    """The whole recipe as TOML including defaults, so that a run records all that it used."""
    lines: list[str] = []
    for section, values in dataclasses.asdict(recipe).items():
        # JSON writes text, integers and floats as TOML does.
        pairs = (f"{key} = {json.dumps(value)}" for key, value in values.items())
        lines += [f"[{section}]", *pairs, ""]
    return "\n".join(lines)


def _sections_of(path: Path) -> dict[str, Any]:
    try:
        return _sections(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise InvalidRequest(f"{path}: no such recipe") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path}: cannot be read ({error})") from error


def _sections(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number of 5,000 digits, too
        raise InvalidRequest(f"{name}: not valid TOML ({error})") from None


def _checked(sections: Mapping[str, Any], *, name: str) -> Recipe:
    try:
        return from_json(Recipe, sections, name="the recipe", allow_defaults=True)
    except TypedJsonError as error:
        reason = str(error).replace("a JSON object", "a section")  # as TOML calls it
        raise InvalidRequest(f"{name}: {reason}") from None
