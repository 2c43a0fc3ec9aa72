"""Losses of networks that predict a value and its uncertainty."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def gaussian_nll(target: Any, mean: Any, sigma: Any, weight: Any) -> Any:
    """Weighted mean of the negative log-likelihood of normal distributions, in nats.

    ``mean_i w_i [ (v_i - mu_i)^2 / (2 s_i^2) + ln(2 pi s_i^2) / 2 ]`` (D21, section 2).
    With ``sigma`` one it is the loss that trains the velocity alone.

    Parameters
    ----------
    target, mean, sigma, weight
        Tensors of shape (N, 1); sigma positive.
    """
    residual = (target - mean) / sigma
    return tf.reduce_mean(weight * (0.5 * residual**2 + tf.math.log(sigma) + HALF_LOG_2PI))
