"""Means over seeds and their confidence intervals."""

import numpy as np
from numpy.typing import ArrayLike
import tensorflow_probability as tfp


def mean_and_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The mean over seeds and the half-width of its confidence interval, from Student's t.

    Args:
        values: array [S, ...].
        confidence: probability that the interval covers the mean.

    Returns:
        (mean, half_width), arrays [...]; the half-width is NaN for a single seed.
    """
    values = np.asarray(values, np.float64)
    n_seeds = values.shape[0]
    mean = values.mean(axis=0)
    if n_seeds == 1:
        return mean, np.full_like(mean, np.nan)
    student_t = tfp.distributions.StudentT(np.float64(n_seeds - 1), np.float64(0), np.float64(1))
    quantile = student_t.quantile(np.float64(0.5 + confidence / 2)).numpy()
    return mean, quantile * values.std(axis=0, ddof=1) / np.sqrt(n_seeds)


def normal_quantile(probability: float) -> float:
    """The quantile of the standard normal distribution: 2.576 for a probability of 0.995."""
    return float(tfp.distributions.Normal(np.float64(0), np.float64(1)).quantile(np.float64(probability)))
