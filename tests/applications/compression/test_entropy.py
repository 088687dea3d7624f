"""Integer masses, and the stack of words."""

import numpy as np
import pytest

from ancestral.applications.compression.entropy import (
    TOTAL,
    CorruptWords,
    WordStack,
    integer_masses,
    intervals,
)


@pytest.mark.parametrize("num_symbols", [2, 3, 256, 5000])
def test_masses_add_up_and_none_is_too_small(num_symbols):
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(num_symbols, 0.01), size=50)
    shares[0] = 0
    shares[0, -1] = 1
    masses = integer_masses(shares)
    assert (masses.sum(-1) == TOTAL).all()
    assert masses.min() >= 2
    # each symbol costs what its share says, but for the masses that all symbols get
    spent = -(shares * np.log2(masses / TOTAL)).sum(-1)
    entropy = -(shares * np.log2(np.maximum(shares, 1e-300))).sum(-1)
    assert (spent - entropy < 2e-3).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_masses_that_are_none_are_refused(bad):
    with pytest.raises(CorruptWords, match="finite and not all zero"):
        integer_masses(np.full((1, 3), bad))


def test_what_is_pushed_last_is_popped_first():
    rng = np.random.default_rng(1)
    stack, pushed = WordStack(), []
    for num_symbols in (2, 3, 17, 300):
        masses = integer_masses(rng.dirichlet(np.ones(num_symbols), size=40))
        symbols = rng.integers(num_symbols, size=40)
        stack.push(symbols, masses)
        pushed.append((symbols, masses))
    stack = WordStack(stack.words)
    for symbols, masses in reversed(pushed):
        assert (stack.pop(masses) == symbols).all()
    assert stack.is_empty


def test_intervals_give_the_same_words_as_tables():
    """An encoder keeps two numbers of each symbol instead of its table: also at both ends."""
    rng = np.random.default_rng(2)
    for num_symbols in (2, 3, 50):
        masses = integer_masses(rng.dirichlet(np.full(num_symbols, 0.2), size=200))
        symbols = rng.integers(num_symbols, size=200)
        symbols[:3] = 0
        symbols[3:6] = num_symbols - 1
        by_table, by_interval = WordStack(), WordStack()
        by_table.push(symbols, masses)
        by_interval.push_intervals(*intervals(symbols, masses))
        assert (by_table.words == by_interval.words).all()


def test_the_masses_are_the_ones_handed_over():
    """The coder's own arithmetic is that of a stack of exactly these integers."""
    rng = np.random.default_rng(3)
    masses = integer_masses(rng.dirichlet(np.ones(5), size=60))
    symbols = rng.integers(5, size=60)
    stack = WordStack()
    stack.push(symbols, masses)
    state, words = 0, []
    for start, mass in reversed(list(zip(*intervals(symbols, masses), strict=True))):
        start, mass = int(start), int(mass)
        if state >> 40 >= mass:
            words.append(state & 0xFFFFFFFF)
            state >>= 32
        state = (state // mass << 24) | (state % mass + start)
    while state:
        words.append(state & 0xFFFFFFFF)
        state >>= 32
    assert stack.words.tolist() == words


def test_a_symbol_can_be_taken_from_an_empty_stack_and_put_back():
    masses = integer_masses(np.array([[0.3, 0.7]]))
    stack = WordStack()
    stack.push(stack.pop(masses), masses)
    assert stack.is_empty


def test_words_that_no_stack_has_are_refused():
    with pytest.raises(CorruptWords, match="end in one that is not 0"):
        WordStack(np.array([3, 0], dtype=np.uint32))
