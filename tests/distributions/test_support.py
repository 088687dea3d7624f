import math

import pytest
import torch

from ancestral.core import DataError
from ancestral.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    ContinuousBernoulli,
    DiscretizedLogistic,
    Exponential,
    LogNormal,
    Normal,
    Poisson,
    Product,
)


@pytest.mark.parametrize(
    ("head", "value", "message"),
    [
        (Bernoulli((2,)), 0.5, "expected values that are 0 or 1 for the Bernoulli likelihood"),
        (
            ContinuousBernoulli((2,)),
            1.5,
            "expected values from 0 to 1 for the ContinuousBernoulli",
        ),
        (Beta((2,)), 0.0, "expected values between 0 and 1, neither 0 nor 1 for the Beta"),
        (Categorical((2,), 3), 3.0, "expected whole numbers from 0 to 2 for the Categorical"),
        (DiscretizedLogistic((2,), 8), 0.5, "expected whole numbers from 0 to 7"),
        (Poisson((2,)), -1.0, "expected whole numbers of at least 0 for the Poisson"),
        (LogNormal((2,)), 0.0, "expected values greater than 0 for the LogNormal"),
        (Exponential((2,)), -0.1, "expected values of at least 0 for the Exponential"),
        (Normal((2,)), math.inf, "expected finite numbers for the Normal"),
    ],
)
def test_check_says_what_where_and_what_to_do(head, value, message):
    x = torch.full((3, 2), head.inside)
    x[2, 1] = value
    with pytest.raises(DataError) as error:
        head.check(x)
    assert message in str(error.value)
    assert f"got {value:g} in row 2, cell (1)" in str(error.value)
    assert "\n\nhint: " in str(error.value)


def test_product_names_the_columns():
    head = Product((((0,), Bernoulli((1,))), ((1,), Normal((1,)))), names=("ill", "age"))
    with pytest.raises(DataError, match="of the columns ill"):
        head.check(torch.tensor([[0.5, 3.0]]))
