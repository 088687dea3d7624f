import pytest
import torch

from ancestral.core import Column, IncompatibleChoices, Kind, OptionError, Specification
from ancestral.core.errors import ShapeError
from ancestral.distributions import (
    LIKELIHOODS,
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    DiscretizedLogistic,
    Laplace,
    LogNormal,
    NegativeBinomial,
    Normal,
    Product,
    default_head,
    named_head,
)


def specification(kind):
    return Specification(
        kind, (3,), num_levels=20 if kind in (Kind.CATEGORICAL, Kind.LEVELS) else None
    )


TABLE = Specification(
    None,
    (4,),
    columns=(
        Column("age", Kind.REAL),
        Column("ill", Kind.BINARY),
        Column("city", Kind.CATEGORICAL, num_levels=3),
        Column("weight", Kind.REAL),
    ),
)


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        (Kind.BINARY, Bernoulli),
        (Kind.CATEGORICAL, Categorical),
        (Kind.LEVELS, DiscretizedLogistic),
        (Kind.COUNT, NegativeBinomial),
        (Kind.REAL, Normal),
        (Kind.POSITIVE, LogNormal),
        (Kind.UNIT, ContinuousBernoulli),
    ],
)
def test_defaults(kind, family):
    head = default_head(specification(kind))
    assert isinstance(head, family)
    assert head.event_shape == (3,)


def test_few_levels_are_categories():
    spec = Specification(Kind.LEVELS, (3,), num_levels=16)
    assert default_head(spec) == Categorical((3,), 16, Kind.LEVELS)


def test_default_of_a_table_groups_its_columns():
    head = default_head(TABLE)
    assert isinstance(head, Product)
    assert [group for group, _ in head.parts] == [(0, 3), (1,), (2,)]
    assert head.feature_shape == (4 + 1 + 3,)
    x = torch.tensor([[0.3, 1.0, 2.0, -1.0]])
    features = torch.randn(1, 8, generator=torch.Generator().manual_seed(0))
    by_hand = (
        Normal((2,)).log_prob(features[:, :4].reshape(1, 2, 2), x[:, [0, 3]])
        + Bernoulli((1,)).log_prob(features[:, 4:5].reshape(1, 1, 1), x[:, 1:2])
        + Categorical((1,), 3).log_prob(features[:, 5:].reshape(1, 3, 1), x[:, 2:3])
    )
    torch.testing.assert_close(head.log_prob(features, x), by_hand)
    torch.testing.assert_close(head.log_prob_cells(features, x).sum(-1), by_hand)
    assert head.representative(features)[0, 2].item() == features[0, 5:].argmax().item()


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("kind", Kind)
def test_every_name_builds_or_refuses(name, kind):
    spec = specification(kind)
    if kind in LIKELIHOODS[name].kinds:
        head = named_head(name, spec)
        x = torch.ones(4, 3) if kind.is_discrete or kind is Kind.POSITIVE else torch.rand(4, 3)
        assert bool(head.log_prob(head.initial_features(x), x).isfinite().all())
    else:
        with pytest.raises(IncompatibleChoices) as error:
            named_head(name, spec)
        assert repr(name) in str(error.value)
        assert "hint: " in str(error.value)


def test_every_kind_has_a_name():
    for kind in Kind:
        assert any(kind in likelihood.kinds for likelihood in LIKELIHOODS.values())


def test_messages():
    with pytest.raises(IncompatibleChoices) as error:
        named_head("bernoulli", specification(Kind.UNIT))
    assert str(error.value).startswith(
        "the likelihood 'bernoulli' needs 0 or 1, but the data are numbers from 0 to 1\n\n"
        "hint: binarise the data, or choose another; for such data there are: continuous-bernoulli"
    )
    with pytest.raises(IncompatibleChoices) as error:
        named_head("normal", specification(Kind.LEVELS))
    assert "is a density of real numbers, but the data are ordered levels" in str(error.value)
    assert "hint: dequantise the data, or choose another" in str(error.value)
    with pytest.raises(OptionError) as error:
        named_head("laplac", specification(Kind.REAL))
    assert "did you mean 'laplace'?" in str(error.value)


def test_names_over_tables():
    columns = (Column("a", Kind.CATEGORICAL, 3), Column("b", Kind.BINARY))
    head = named_head("categorical", Specification(None, (2,), columns=columns))
    assert head == Product(
        (((0,), Categorical((1,), 3)), ((1,), Categorical((1,), 2))), names=("a", "b")
    )
    columns = (Column("a", Kind.REAL), Column("b", Kind.POSITIVE))
    spec = Specification(None, (2,), columns=columns)
    assert named_head("laplace", spec) == Laplace((2,))
    with pytest.raises(IncompatibleChoices, match="0 or 1"):
        named_head("normal", TABLE)


def test_product_refuses_what_does_not_fit():
    with pytest.raises(ShapeError, match="each column from 0 to 1 once"):
        Product((((0, 2), Normal((2,))),))
    with pytest.raises(ShapeError, match="expected a head of event shape"):
        Product((((0, 1), Normal((3,))),))


@pytest.mark.parametrize("family", [Categorical, DiscretizedLogistic])
def test_one_level_is_refused(family):
    with pytest.raises(OptionError, match="expected at least 2 levels, got 1"):
        family((3,), 1)


def test_categories_and_levels_of_one_size_are_told_apart():
    columns = (Column("a", Kind.LEVELS, 4), Column("b", Kind.CATEGORICAL, 4))
    head = named_head("categorical", Specification(None, (2,), columns=columns))
    assert isinstance(head, Product)
    assert [part.kind for _, part in head.parts if isinstance(part, Categorical)] == [
        Kind.LEVELS,
        Kind.CATEGORICAL,
    ]
