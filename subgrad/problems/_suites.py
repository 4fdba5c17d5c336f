"""Problems that are compared together, some with sizes of their own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

# The name of a problem, or that and its parameters where they are not the defaults.
Case = str | tuple[str, Mapping[str, Any]]


def _case(name: str, **parameters: Any) -> Case:
    return name, parameters


SUITES: Mapping[str, tuple[Case, ...]] = MappingProxyType(
    {
        "default": (
            "cb2",
            "rosen_suzuki",
            "maxquad",
            "maxq",
            "chained_cb3_2",
            "tr48",
            "lad",
            "lasso",
            "svm",
            "tv_denoising",
            "matrix_game",
            "enclosing_ball",
            "fermat_weber",
        ),
        # Sizes at which the structure has to be used.
        "structured": (
            _case("lad_outliers", n=200, m=2000),
            _case("lad_outliers", n=500, m=5000),
            _case("lad_box", n=200, m=2000),
            _case("huber_regression", n=200, m=2000),
            _case("svm", n=100, m=5000),
            _case("l1_logistic", n=200, m=2000),
            _case("max_affine", n=100, m=1000),
            _case("lasso", n=2000, m=500),
            _case("lasso", n=5000, m=1000),
            _case("elastic_net_regression", n=2000, m=500),
            _case("group_lasso", n=1000, m=500),
            _case("basis_pursuit", n=1000, m=200),
            _case("tv_denoising", n=10_000, lam=5.0),
            _case("tv_denoising", n=100_000, lam=5.0),
            _case("tv_image", n=256),
            _case("tv_image_isotropic", n=256),
            _case("matrix_completion", n=200, rank=5),
            _case("cvar_portfolio", n=100, m=2000),
        ),
    }
)
