"""Do two models differ on the same images? McNemar's test (McNemar 1947), exact."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest


def exact_mcnemar(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """The two-sided p-value that both are right equally often.

    Only images that one gets right and the other wrong tell anything; if the models do not
    differ, either is the right one with probability one half.

    Args:
        one: ``[N]`` whether the first model is right.
        other: ``[N]`` whether the second is, on the same images.
    """
    first_only = int((one & ~other).sum())
    second_only = int((other & ~one).sum())
    if first_only + second_only == 0:
        return 1.0
    return float(binomtest(first_only, first_only + second_only, 0.5).pvalue)
