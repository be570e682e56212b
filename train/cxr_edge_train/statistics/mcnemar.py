"""McNemar's exact test (McNemar 1947): do two models differ on the same images?"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest


def exact_mcnemar(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Two-sided p-value of the hypothesis that both models are correct equally often.

    Only images on which exactly one model is correct matter; if the models do not differ, either
    is the correct one with probability one half.

    Args:
        one: ``[N]`` whether the first model's decision is correct; not the decision itself.
        other: ``[N]`` whether the second model's is, on the same images.
    """
    first_only = int((one & ~other).sum())
    second_only = int((other & ~one).sum())
    if first_only + second_only == 0:
        return 1.0
    return float(binomtest(first_only, first_only + second_only, 0.5).pvalue)
