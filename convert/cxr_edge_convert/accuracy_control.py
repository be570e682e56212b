"""Which operators stay in float when INT8 falls short."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cxr_edge_convert.tensor_errors import TensorError
from cxr_edge_convert.verification import Verification


@dataclass(frozen=True, slots=True)
class Controlled:
    """An INT8 model with some blocks in float.

    Attributes:
        model: its bytes.
        verification: of it.
        blocks: names of the operators kept in float, block by block, worst first.
        steps: ``(blocks in float, recall drop, agreement)`` of each model that was tried.
    """

    model: bytes
    verification: Verification
    blocks: list[tuple[str, ...]]
    steps: list[tuple[int, float, float]]


def control_accuracy(
    blocks: Sequence[tuple[str, ...]],
    errors: Sequence[TensorError],
    make: Callable[[Collection[str]], bytes],
    check: Callable[[bytes], Verification],
    progress: Callable[[Iterable[Any], int], Iterable[Any]] = lambda items, total: items,
) -> Controlled:
    """Keep one block more in float, the one that adds most error first, until the limits hold.

    Args:
        blocks: at least one; names of operators that are kept together; see
            :func:`cxr_edge_convert.graphs.blocks`.
        errors: of the INT8 model that fell short.
        make: the INT8 model with these operators in float.
        check: its verification.
        progress: wraps the steps.

    Returns:
        The first model that holds, else the one with all blocks in float, not passed.
    """
    added = {error.operator: error.added for error in errors}
    ranked = sorted(blocks, key=lambda block: -sum(added.get(name, 0.0) for name in block))
    steps: list[tuple[int, float, float]] = []
    kept: list[str] = []
    for count, block in enumerate(progress(ranked, len(ranked)), start=1):
        kept += block
        model = make(kept)
        verification = check(model)
        steps.append((count, verification.recall_drop, verification.agreement))
        if verification.passed:
            break
    return Controlled(model, verification, ranked[:count], steps)
