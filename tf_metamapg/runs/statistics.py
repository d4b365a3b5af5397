"""Means over seeds and their confidence intervals."""

import functools

import numpy as np
from numpy.typing import ArrayLike
import tensorflow_probability as tfp


def mean(values: ArrayLike, axis: int) -> np.ndarray:
    """The mean over an axis of what is not NaN, such as a metric that is not defined; NaN where all is."""
    values = np.asarray(values)
    is_defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(is_defined, values, 0).sum(axis=axis) / is_defined.sum(axis=axis, dtype=values.dtype)


def mean_and_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The mean over seeds and the half-width of its confidence interval, from Student's t.

    Args:
        values: array [S, ...]; seeds count where they are not NaN.
        confidence: probability that the interval covers the mean.

    Returns:
        (mean, half_width), arrays [...]; the mean is NaN where no seed counts, the half-width where no two do.
    """
    values = np.asarray(values, np.float64)
    n_seeds = np.sum(~np.isnan(values), axis=0)
    means = mean(values, axis=0)
    squares = np.nansum((values - means) ** 2, axis=0)
    half_width = np.full(means.shape, np.nan)
    for n in set(n_seeds.ravel().tolist()) - {0, 1}:
        quantile = _student_quantile(n - 1, 0.5 + confidence / 2)
        half_width = np.where(n_seeds == n, quantile * np.sqrt(squares / (n - 1)) / np.sqrt(n), half_width)
    return means, half_width


@functools.cache
def _student_quantile(degrees_of_freedom, probability):
    student_t = tfp.distributions.StudentT(np.float64(degrees_of_freedom), np.float64(0), np.float64(1))
    return student_t.quantile(np.float64(probability)).numpy()


def normal_quantile(probability: float) -> float:
    """The quantile of the standard normal distribution: 2.576 for a probability of 0.995."""
    return float(tfp.distributions.Normal(np.float64(0), np.float64(1)).quantile(np.float64(probability)))
