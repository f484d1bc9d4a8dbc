"""Linear layers fitted by scikit-learn, on states of mean 0 and deviation 1."""

import warnings

import numpy as np

_MOST = 1000
"""Iterations of a fit; the last one is taken where it has not converged by then."""


def fit(states: np.ndarray, labels: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """A penalised linear layer, for states as they are.

    Logistic regression of classes (multinomial) or of each of several labels; ridge regression of
    values.

    Args:
      states: f32 [n, hidden].
      labels: i32 [n] of classes from 0 on, each of which is there; i32 [n, labels] of 0 and 1; or
        f32 [n] of values.
      penalty: times half the squared weights is added to the sum of the losses (ridge: without the
        half).

    Returns:
      (kernel f64 [hidden, outputs], bias f64 [outputs]).
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(states.astype(np.float64))
    x = scaler.transform(states)
    if labels.dtype.kind == "f":
        from sklearn.linear_model import Ridge

        found = Ridge(alpha=penalty).fit(x, labels)
        kernel, bias = found.coef_[None], np.atleast_1d(found.intercept_)
    elif labels.ndim == 2:
        each = [_logistic(x, one, penalty) for one in labels.T]
        kernel, bias = (np.concatenate(parts) for parts in zip(*each, strict=True))
    else:
        kernel, bias = _logistic(x, labels, penalty)
        if len(kernel) == 1:  # of two classes it is the log-odds of the second
            kernel, bias = np.concatenate([0 * kernel, kernel]), np.concatenate([0 * bias, bias])
    kernel = (kernel / scaler.scale_).T
    return kernel, bias - scaler.mean_ @ kernel


def _logistic(x: np.ndarray, labels: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = LogisticRegression(C=1 / penalty, max_iter=_MOST).fit(x, labels)
    return found.coef_, found.intercept_
