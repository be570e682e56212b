"""Drawing images so that many patients are seen before one is seen twice."""

import pandas as pd

from cxr_edge_train.dataset.patients import patient_groups


def spread_over_patients(table: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """All rows in a random order in which a patient's second image follows everybody's first.

    The first rows are therefore a sample with as many patients as there can be.

    Args:
        table: rows with ``path`` and ``patient``; their order does not matter.
        seed: of the draw.
    """
    shuffled = table.sort_values("path").sample(frac=1, random_state=seed)
    # How many images of the same patient come before this one, then the drawn order.
    turn = shuffled.groupby(patient_groups(shuffled)).cumcount()
    return shuffled.loc[turn.sort_values(kind="stable").index]
