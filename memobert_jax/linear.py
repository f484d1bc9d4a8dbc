"""Linear layers fitted by scikit-learn, on states of mean 0 and deviation 1."""

import warnings

import numpy as np

_MOST = 1000
"""Iterations of a fit; the last one is taken where it has not converged by then."""

_NEVER = -30.0
"""Intercept of a class that no state has."""


def fit(
    states: np.ndarray, labels: np.ndarray, penalty: float, outputs: int
) -> tuple[np.ndarray, np.ndarray]:
    """A penalised linear layer, for states as they are.

    Logistic regression of classes (multinomial) or of each of several labels; ridge regression of
    values. A class that no state has is never predicted, and a label that always or never holds is
    said to, whatever the state.

    Args:
      states: f32 [n, hidden].
      labels: i32 [n] of classes; i32 [n, labels] of 0 and 1; or f32 [n] of values.
      penalty: times half the squared weights is added to the sum of the losses (ridge: without the
        half).
      outputs: how many classes, labels or values there are.

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
        each = [_logistic(x, one, penalty, 2) for one in labels.T]
        kernel, bias = (np.array([part[1] - part[0] for part in parts])
                        for parts in zip(*each, strict=True))  # fmt: skip
    else:
        kernel, bias = _logistic(x, labels, penalty, outputs)
    kernel = (kernel / scaler.scale_).T
    return kernel, bias - scaler.mean_ @ kernel


def _logistic(
    x: np.ndarray, labels: np.ndarray, penalty: float, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """(weights [classes, hidden], intercepts [classes])."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    kernel, bias = np.zeros((classes, x.shape[1])), np.full(classes, _NEVER)
    present = np.unique(labels)
    bias[present] = 0.0
    if len(present) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = LogisticRegression(C=1 / penalty, max_iter=_MOST).fit(x, labels)
        # Of two classes there is one row, the log-odds of the second.
        rows = present[1:] if len(present) == 2 else present
        kernel[rows], bias[rows] = found.coef_, found.intercept_
    return kernel, bias
