"""Defaults that the help of the commands shows; this module is light to import."""

import os
from pathlib import Path

# At the operating point, at least this share of the pneumonia films is called positive.
MIN_SENSITIVITY = 0.95
# Architectures are compared by their recall where at least this share of the normal films is
# called NORMAL.
MIN_SPECIFICITY = 0.90


def default_cache_dir() -> Path:
    """The user's cache folder: ``$XDG_CACHE_HOME/cxr-edge``, by default ``~/.cache/cxr-edge``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "cxr-edge"
