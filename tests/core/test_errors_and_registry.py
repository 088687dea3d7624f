"""What users read when something is wrong."""

from __future__ import annotations

import pytest

from ancestral import core
from ancestral.core import AncestralError, DataError, OptionError, Registry, RunError
from ancestral.core.registry import nearest


def test_text_with_and_without_a_hint():
    assert str(DataError("expected 784 pixels, got 783")) == "expected 784 pixels, got 783"
    error = DataError("expected 784 pixels, got 783", hint="check the file")
    assert str(error) == "expected 784 pixels, got 783\n\nhint: check the file"
    assert (error.message, error.hint) == ("expected 784 pixels, got 783", "check the file")


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("DataError", ValueError),
        ("ShapeError", ValueError),
        ("OptionError", ValueError),
        ("IncompatibleChoices", ValueError),
        ("NotExact", TypeError),
        ("RunError", ValueError),
        ("NonFiniteLoss", ArithmeticError),
    ],
)
def test_errors_are_ours_and_pythons(name, builtin):
    error = getattr(core, name)
    assert issubclass(error, AncestralError)
    assert issubclass(error, builtin)


def test_registry_is_a_mapping_in_order():
    registry = Registry[int]("colour")
    registry.add("red", 1)
    registry.add("blue", 2)
    assert dict(registry) == {"red": 1, "blue": 2}
    assert list(registry) == ["red", "blue"]
    assert len(registry) == 2
    assert "red" in registry
    assert "green" not in registry
    assert registry.get("green") is None


def test_registry_refuses_the_same_name_twice():
    registry = Registry[int]("colour")
    registry.add("red", 1)
    with pytest.raises(ValueError, match="colour 'red' is registered twice"):
        registry.add("red", 2)
    assert registry["red"] == 1


def test_registry_names_the_nearest():
    registry = Registry[int]("recipe")
    for name in ("vae", "conv_vae", "iwae"):
        registry.add(name, 0)
    with pytest.raises(OptionError) as error:
        registry["vea"]
    assert error.value.message == "unknown recipe 'vea'"
    assert "did you mean" in error.value.hint
    assert "'vae'" in error.value.hint
    with pytest.raises(OptionError) as error:
        registry["zzzzzz"]
    assert error.value.hint == "there are: conv_vae, iwae, vae"


def test_registry_raises_the_error_it_was_given():
    with pytest.raises(RunError, match="unknown run 'x'"):
        Registry[int]("run", RunError)["x"]


def test_nearest_of_several():
    assert nearest("latent_sizes", ["latent_size", "seed"]) == "did you mean 'latent_size'?"
