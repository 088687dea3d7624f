"""Rows of codes as text, and text as what samples begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ancestral.core import IncompatibleChoices, OptionError, Specification, derived_seed, seeded
from ancestral.data import Vocabulary
from ancestral.data.vocabulary import UNKNOWN, as_words

if TYPE_CHECKING:
    from torch import Tensor

    from ancestral.cli.opened import OpenedRun
    from ancestral.models import Drawn, Truncation

__all__ = ["drawn_text", "text_of"]

_RULE = "-" * 40
_PROMPTED = 17  # a stream of derived seeds
_SHOWN = 60  # known symbols that an error names


def text_of(rows: np.ndarray, vocabulary: Vocabulary, spec: Specification) -> str:
    """Sequences with an end on a line each; pieces of running text with a rule between them."""
    pieces = []
    for row in rows:
        codes = row.astype(int).ravel()
        if spec.end_code is not None:
            ends = np.flatnonzero(codes == spec.end_code)
            codes = codes[: ends[0]] if len(ends) else codes
        pieces.append(vocabulary.decode(codes))
    between = "\n" if spec.end_code is not None else f"\n{_RULE}\n"
    return between.join(pieces) + "\n"


def drawn_text(
    run: OpenedRun,
    num: int,
    seed: int,
    *,
    prompt: str = "",
    length: int | None = None,
    truncation: Truncation | None = None,
    context: Tensor | None = None,
) -> Drawn:
    """Text drawn given what it begins with: codes, [num, symbols].

    What is known comes first, so that the draws are exact. Text longer than the model's windows
    is drawn with an overlap of half a window, which is the process that `evaluate` scores.

    Args:
        run: of text.
        num: of samples.
        seed: of the samples.
        prompt: their beginning.
        length: symbols of a sample, the prompt among them; that of the model's rows if None, and
            with a longer prompt so many more.
        truncation: temperature, top-k and top-p.
        context: [num, size] or None.

    Raises:
        IncompatibleChoices: the run is not of text.
        OptionError: the prompt has symbols that the model does not know, or fills the length.
    """
    import torch

    from ancestral.models import AutoregressiveModel, Drawn, SamplingMethod
    from ancestral.models.autoregressive import check_running, continue_running
    from ancestral.models.autoregressive.sampling import open_uniforms

    model, spec, vocabulary = run.estimator.model_, run.config.spec, run.text.vocabulary
    if vocabulary is None or not isinstance(model, AutoregressiveModel):
        raise IncompatibleChoices(
            "expected an autoregressive run of text for --prompt and --length, got one of "
            f"{run.config.recipe!r} on {run.config.data.get('name', 'other data')!r}",
            hint="`ancestral fit char_rnn tinyshakespeare` makes one",
        )
    sites, _ = check_running(model)
    known = _encoded_prompt(prompt, vocabulary)
    length = _length(length, len(known), sites, spec.end_code)
    device = model.network.device
    prefix = torch.from_numpy(known).to(device).expand(num, -1)
    shape = (num, length - len(known), model.head.num_uniforms)
    with seeded(derived_seed(seed, _PROMPTED)):
        uniforms = open_uniforms(shape, model.network.dtype, device)
    given = None if context is None else context.to(uniforms)
    text = continue_running(model, prefix, uniforms, truncation=truncation, context=given)
    return Drawn(text.cpu(), 0, SamplingMethod.CACHED)


def _length(asked: int | None, known: int, sites: int, end_code: int | None) -> int:
    """Symbols of a sample.

    Raises:
        OptionError: nothing would be left to draw, or a sequence cannot be so long.
    """
    if end_code is not None:
        if asked is not None and asked != sites:
            raise OptionError(
                f"expected no --length, got {asked}: each sequence ends where its end is drawn",
                hint=f"the model's sequences have up to {sites - 1} symbols",
            )
        length = sites
    elif asked is None:
        length = sites if known < sites else known + sites
    else:
        length = asked
    if known >= length:
        raise OptionError(
            f"expected a prompt of fewer than {length} symbols, got {known}",
            hint="give a larger --length" if end_code is None else "shorten the prompt",
        )
    return length


def _encoded_prompt(prompt: str, vocabulary: Vocabulary) -> np.ndarray:
    symbols = as_words(prompt) if vocabulary.separator else prompt
    known = set(vocabulary.symbols)
    if not vocabulary.encoding and not (vocabulary.separator and UNKNOWN in known):
        strange = next((symbol for symbol in symbols if symbol not in known), None)
        if strange is not None:
            shown = vocabulary.separator.join(vocabulary.symbols[:_SHOWN])
            more = ", ..." if len(vocabulary) > _SHOWN else ""
            raise OptionError(
                f"expected a prompt of the {len(vocabulary):,} {vocabulary.kind} that the model "
                f"knows, got {strange!r}",
                hint=f"it knows {shown!r}{more}",
            )
    return vocabulary.encode(prompt)
