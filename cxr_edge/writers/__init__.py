"""Where results go beside the terminal: a CSV file, heat maps; and what takes them in turn."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cxr_edge_runtime.batch import Result


class Writer(Protocol):
    """Takes the results of images in turn."""

    def write(self, image: Path, result: "Result") -> None:
        """Write one result."""
        ...

    def close(self) -> None:
        """Write what comes after the last one."""
        ...
