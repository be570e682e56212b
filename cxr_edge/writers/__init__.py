"""Output of results to files: CSV and heat maps."""

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
        """Finish the output."""
        ...
