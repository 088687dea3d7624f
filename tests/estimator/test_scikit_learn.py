"""scikit-learn's own checks, and the reasons why a few of them cannot apply."""

from __future__ import annotations

import warnings

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

import ancestral
import ancestral.core

_NOT_NUMBERS = "what is not a number raises DataError, which is a ValueError, not a TypeError"

_CANNOT_APPLY = {
    "ppca": {
        "check_dtype_object": _NOT_NUMBERS,
        "check_estimators_dtypes": "a density over integers is refused: it could be made as high "
        "as one likes",
    },
    "vae": {"check_dtype_object": _NOT_NUMBERS},
}


def _checks():
    """(estimator, check) pairs; the estimator follows the protocol without inheriting, since
    scikit-learn takes longer to import than the command line may take to start."""
    small = {"epochs": 2, "hidden_size": 8, "latent_size": 2, "num_blocks": 1}
    estimators = [ancestral.build("ppca", latent_size=1), ancestral.build("vae", **small)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not inherit from `sklearn.base")
        return [
            pytest.param(estimator, check, id=f"{estimator.recipe.name}-{_name(check)}")
            for estimator in estimators
            for estimator, check in estimator_checks_generator(estimator)
        ]


def _name(check):
    return check.func.__name__


@pytest.mark.parametrize(("estimator", "check"), _checks())
def test_scikit_learn_checks(estimator, check, single_precision):
    reason = _CANNOT_APPLY[estimator.recipe.name].get(_name(check))
    if reason is None:
        check(estimator)
    else:  # and if it could, the list above is out of date
        with pytest.raises((AssertionError, ancestral.core.AncestralError)):
            check(estimator)
