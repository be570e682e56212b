"""Drawing images so that many patients are seen before one is seen twice."""

import pandas as pd

from cxr_edge_runtime.arguments import as_whole_number
from cxr_edge_train.dataset.patients import patient_groups

# numpy's older generator, which scikit-learn and pandas use, takes no larger seed.
MAX_SEED = 2**32 - 1


def as_seed(seed: object) -> int:
    """Check the seed of everything random.

    Raises:
        InvalidRequest: the seed is not a whole number from 0 to :data:`MAX_SEED`.
    """
    return as_whole_number(seed, "seed", minimum=0, maximum=MAX_SEED)


def spread_over_patients(table: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Shuffle the rows so that each patient's second image follows every patient's first.

    The first rows are therefore a sample of as many patients as possible.

    Args:
        table: rows with ``path`` and ``patient``; their order does not matter.
        seed: seed of the shuffling.

    Returns:
        All rows of the table in the new order.
    """
    shuffled = table.sort_values("path").sample(frac=1, random_state=seed)
    # How many images of the same patient come before this one, then the shuffled order.
    turn = shuffled.groupby(patient_groups(shuffled)).cumcount()
    return shuffled.loc[turn.sort_values(kind="stable").index]
