"""Exact duplicates, by MD5: which copy stays and why the others go."""

from collections import defaultdict
from collections.abc import Iterable

from cxr_edge_train.dataset.scanning import ImageRecord, LeftOut

# Of copies in several splits the train copy goes: dropping the test copy would change a published
# test set. `val` joins train later, so between those two it does not matter; train's stays.
_PRECEDENCE = {"test": 0, "train": 1, "val": 2}


def remove_duplicates(
    records: Iterable[ImageRecord],
) -> tuple[list[ImageRecord], list[LeftOut]]:
    """Keep one copy of each image.

    The same image under two labels goes altogether, since one label must be wrong. Otherwise a
    copy in test stays before one in train, and within a split the first by path.

    Returns:
        The kept records in their given order, and what was left out, ordered by path.
    """
    records = list(records)
    groups: defaultdict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        groups[record.md5].append(record)
    left_out: dict[str, str] = {}
    for group in groups.values():
        if len({record.label for record in group}) > 1:
            left_out.update((record.path, "same image under two labels") for record in group)
            continue
        kept = min(group, key=lambda record: (_PRECEDENCE[record.split], record.path))
        left_out.update(
            (record.path, f"duplicate of {kept.path}") for record in group if record is not kept
        )
    return (
        [record for record in records if record.path not in left_out],
        [LeftOut(path, reason) for path, reason in sorted(left_out.items())],
    )
