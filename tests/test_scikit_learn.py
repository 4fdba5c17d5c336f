"""Regressions on real data, beside scikit-learn's own solvers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import linear_model
from sklearn.datasets import load_diabetes

from subgrad import huber_loss, norm1, pinball_loss, squared_norm, variables
from subgrad.solvers import Gap, MaxIter, minimize, path

pytestmark = pytest.mark.slow

X, B = load_diabetes(return_X_y=True)  # 442 x 10, columns of mean 0 and length 1
M, N = X.shape
W, B0 = variables(N, 1)
# What is left of each observation, with an intercept.
LEFT = X @ W + np.ones((M, 1)) @ B0 - B
STOP = MaxIter(200) | Gap(1e-9)


def same(found, model, f):
    """A proof, and a value no larger than that of scikit-learn's coefficients."""
    assert found.success and found.certificate.verify(f)
    theirs = np.append(model.coef_, model.intercept_)
    assert found.lower_bound <= f(theirs)
    np.testing.assert_allclose(found.fun, f(theirs), rtol=1e-6)
    return theirs


@pytest.mark.parametrize("tau", [0.1, 0.5, 0.9])
def test_quantile_regression(tau):
    f = pinball_loss(tau)(-LEFT)
    model = linear_model.QuantileRegressor(quantile=tau, alpha=0, solver="highs")
    same(minimize(f, np.zeros(N + 1), stop=STOP), model.fit(X, B), f)


@pytest.mark.parametrize(("w", "ridge"), [(50.0, 0.0), (400.0, 0.0), (50.0, 0.3)])
def test_lasso_and_elastic_net(w, ridge):
    f = 0.5 * squared_norm(LEFT) + w * norm1(W) + 0.5 * ridge * squared_norm(W)
    total = (w + ridge) / M
    model = linear_model.ElasticNet(
        alpha=total, l1_ratio=w / (w + ridge), tol=1e-14, max_iter=10**6
    )
    found = minimize(f, np.zeros(N + 1), stop=STOP)
    theirs = same(found, model.fit(X, B), f)
    np.testing.assert_allclose(found.x, theirs, rtol=1e-4, atol=1e-2)


def test_a_path():
    c = B - B.mean()
    weights = np.geomspace(1, 1e-3, 30) * np.abs(X.T @ c).max()
    loss = 0.5 * squared_norm(X @ W - c)
    results = path((loss + w * norm1(W) for w in weights), np.zeros(N + 1), stop=STOP)
    _, coefs, _ = linear_model.lasso_path(X, c, alphas=weights / M, tol=1e-10)
    for w, found, theirs in zip(weights, results, coefs.T, strict=True):
        f = loss + w * norm1(W)
        assert found.success and found.certificate.verify(f)
        np.testing.assert_allclose(found.x[:N], theirs, rtol=1e-4, atol=1e-2)


def test_huber_regression():
    f = huber_loss(50.0)(LEFT)
    found = minimize(f, np.zeros(N + 1), stop=STOP)
    assert found.success and found.certificate.verify(f)
    least = linear_model.LinearRegression().fit(X, B)
    robust = np.append(least.coef_, least.intercept_)
    assert found.fun <= f(robust)
