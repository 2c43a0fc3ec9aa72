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


def mixture_nll(target: Any, logits: Any, means: Any, sigmas: Any, weight: Any) -> Any:
    """Weighted mean of the negative log-likelihood of mixtures of normals, in nats.

    ``mean_i w_i [ -ln sum_k p_ik N(v_i; mu_ik, s_ik) ]`` (Bishop 1994, equation 29), summed as
    logarithms: a component far from the target underflows to nothing, not to infinity.

    Parameters
    ----------
    target, weight
        Tensors of shape (N, 1).
    logits, means, sigmas
        Tensors of shape (N, K); the weights of the components are the softmax of ``logits``,
        sigmas are positive.
    """
    pull = (target - means) / sigmas
    terms = tf.nn.log_softmax(logits) - 0.5 * pull**2 - tf.math.log(sigmas) - HALF_LOG_2PI
    return -tf.reduce_mean(weight * tf.reduce_logsumexp(terms, axis=1, keepdims=True))
