"""The bundles that ship with cxr-edge, by name."""

from pathlib import Path

DEFAULT = "mobilenetv2-int8"

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Names of the shipped bundles, the default one first."""
    found = {manifest.parent.name for manifest in _FOLDER.glob("*/bundle.json")}
    return sorted(found, key=lambda name: (name != DEFAULT, name))


def path(name: str) -> Path:
    """The folder of a shipped bundle.

    Raises:
        KeyError: no bundle of that name ships.
    """
    if name not in names():
        raise KeyError(name)
    return _FOLDER / name
