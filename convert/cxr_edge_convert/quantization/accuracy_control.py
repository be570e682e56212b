"""Which operators are kept in float where INT8 misses a limit."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from cxr_edge_convert.quantization.tensor_errors import TensorError
from cxr_edge_convert.verification import Verification
from cxr_edge_train.progress import ProgressFactory, no_progress


class Verified(Protocol):
    """A model that was compared with the float model."""

    @property
    def verification(self) -> Verification:
        """What the model loses."""
        ...


AnyVerified = TypeVar("AnyVerified", bound=Verified)


@dataclass(frozen=True, slots=True)
class MixedPrecisionResult:
    """How an INT8 model with some blocks in float came about.

    Attributes:
        blocks_in_float: the names of the operators kept in float, block by block, worst first.
        steps: the number of blocks in float, the recall drop and the agreement of each model that
            was tried.
    """

    blocks_in_float: tuple[tuple[str, ...], ...]
    steps: tuple[tuple[int, float, float], ...]


def control_accuracy(
    blocks: Sequence[tuple[str, ...]],
    errors: Sequence[TensorError],
    make: Callable[[Collection[str]], AnyVerified],
    progress: ProgressFactory = no_progress,
) -> tuple[AnyVerified, MixedPrecisionResult]:
    """Keep one more block in float at a time, the one that adds most error first.

    Args:
        blocks: at least one group of names of operators that are kept in float together; see
            :func:`cxr_edge_convert.formats.graph.blocks`.
        errors: the tensor errors of the INT8 model that missed a limit.
        make: makes and verifies the INT8 model with the named operators in float.
        progress: shows how many blocks were tried.

    Returns:
        The first model that keeps the limits, or the one with all blocks in float if none does;
        and how it came about.
    """
    added = {error.operator: error.added for error in errors}
    ranked = sorted(blocks, key=lambda block: -sum(added.get(name, 0.0) for name in block))
    steps: list[tuple[int, float, float]] = []
    kept: list[str] = []
    for count, block in enumerate(progress("blocks to float")(ranked, len(ranked)), start=1):
        kept += block
        tried = make(kept)
        verification = tried.verification
        steps.append((count, verification.recall_drop, verification.agreement))
        if verification.passed:
            break
    return tried, MixedPrecisionResult(tuple(ranked[:count]), tuple(steps))
