"""`LatentStack`: a stack of symbols, and the random bits that bits-back begins with."""

from __future__ import annotations

import constriction
import numpy as np

from ancestral.applications.compression.entropy import CorruptWords, WordStack

__all__ = ["FEWEST_BITS", "LatentStack", "not_finite", "random_words"]

FEWEST_BITS = 64  # on the stack, below which the coder's own state would run dry

_MODELS = constriction.stream.model  # pyright: ignore[reportAttributeAccessIssue]
_ANS = constriction.stream.stack.AnsCoder  # pyright: ignore[reportAttributeAccessIssue]
_BITS = _MODELS.Bernoulli(perfect=False)
_LEAST_SCALE = 1e-3  # in steps: all mass is then on one of them, or on two


class LatentStack(WordStack):
    """Symbols in words, above a stream of random ones of which as many are there as are needed.

    To pop a symbol that nobody pushed is to draw it, at the expense of bits on the stack. At the
    start there are none, so that random ones are put there; `lowest` says how far they were used.

    Args:
        words: what is on it, from the bottom; None: nothing.

    Example:
        >>> stack = LatentStack(random_words(4, seed=0))
        >>> loc, scale = np.zeros(3), np.full(3, 5.0)
        >>> drawn = stack.pop_normals(loc, scale, bound=100)
        >>> stack.push_normals(drawn, loc, scale, bound=100)
        >>> bool((stack.words == random_words(4, seed=0)).all())
        True
    """

    def __init__(self, words: np.ndarray | None = None) -> None:
        super().__init__(words)
        self.lowest = self.num_bits

    def pop(self, masses: np.ndarray) -> np.ndarray:
        """Categorical symbols, see `WordStack`."""
        return self._noted(super().pop(masses))

    def push_normals(
        self, symbols: np.ndarray, loc: np.ndarray, scale: np.ndarray, bound: int
    ) -> None:
        """Whole numbers under Gaussians: the mass of k is that of [k - 1/2, k + 1/2].

        Args:
            symbols: [n], from -bound to bound.
            loc: [n], in steps.
            scale: [n], in steps.
            bound: a power of two less than 2^23; beyond it there is no mass.
        """
        self._push(symbols, *_normals(loc, scale, bound))

    def pop_normals(self, loc: np.ndarray, scale: np.ndarray, bound: int) -> np.ndarray:
        """[n] int32, what `push_normals` put there."""
        return self._noted(self._ans.decode(*_normals(loc, scale, bound)))

    def push_bits(self, symbols: np.ndarray, masses: np.ndarray) -> None:
        """Zeros and ones [n] under probabilities of one [n]."""
        self._push(symbols, _BITS, _finite(masses))

    def pop_bits(self, masses: np.ndarray) -> np.ndarray:
        """[n] int32, what `push_bits` put there."""
        return self._noted(self._ans.decode(_BITS, _finite(masses)))

    def push_number(self, number: int, size: int) -> None:
        """One of 0 .. size - 1, all of them alike."""
        self._ans.encode_reverse(number, _MODELS.Uniform(size))

    def pop_number(self, size: int) -> int:
        """What `push_number` put there."""
        return int(self._noted(self._ans.decode(_MODELS.Uniform(size), 1))[0])

    def whiten(self, count: int, seed: int) -> None:
        """Turn over some of the bits next to the top, at random; once more, and they are back.

        What was coded by a model that does not quite fit is not quite random, and a z drawn with
        such bits would not quite be a draw.

        Args:
            count: words, of which there may be fewer.
            seed: of the bits.
        """
        words = self.words
        # the last two are the coder's state, and stay
        count = min(count, len(words) - 2)
        if count > 0:
            words[-2 - count : -2] ^= random_words(count, seed)
            self._ans = _ANS(words)

    def _push(self, symbols: np.ndarray, *model: object) -> None:
        try:
            self._ans.encode_reverse(np.ascontiguousarray(symbols, dtype=np.int32), *model)
        except KeyError:
            # of what was popped before: a z so far from q(z | x) was never drawn from it
            raise CorruptWords("expected symbols that can be, got others") from None

    def _noted(self, symbols: np.ndarray) -> np.ndarray:
        self.lowest = min(self.lowest, self.num_bits)
        return symbols


def random_words(count: int, seed: int) -> np.ndarray:
    """The last `count` of an endless stream that ends at the top of the stack, bottom first."""
    words = np.random.Generator(np.random.PCG64(seed)).integers(
        1, 1 << 32, size=count, dtype=np.uint32
    )  # none of them 0: a stack must not end in one
    return words[::-1].copy()


def _normals(
    loc: np.ndarray, scale: np.ndarray, bound: int
) -> tuple[object, np.ndarray, np.ndarray]:
    loc = np.clip(_finite(loc), -bound, bound)
    scale = np.clip(_finite(scale), _LEAST_SCALE, 4.0 * bound)
    return _MODELS.QuantizedGaussian(-bound, bound), loc, scale


def _finite(parameters: np.ndarray) -> np.ndarray:
    """Floats of 64 bits, contiguous."""
    found = np.ascontiguousarray(parameters, dtype=np.float64)
    if not np.isfinite(found).all():
        raise not_finite()
    return found


def not_finite() -> CorruptWords:
    """The refusal of distributions that a network gave no numbers for."""
    return CorruptWords(
        "expected finite parameters of the distributions to code by, got NaN or infinity",
        hint="the model's weights may not be finite, or the data far outside what it knows",
    )
