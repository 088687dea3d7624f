"""Pictures of text: how much each symbol surprised the model."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from ancestral.data import Vocabulary
from ancestral.evaluation.picture import Material, Picture, Section
from ancestral.models import AutoregressiveModel
from ancestral.plots import coloured_text

__all__ = ["text_pictures"]

_CHARACTERS, _WORDS, _SEQUENCES = 700, 150, 24  # of an excerpt
_QUANTITY = "bits of surprise, -log2 p"


def text_pictures(model: nn.Module, material: Material) -> list[Picture]:
    """Held-out text and samples, each symbol on a ground that shows how unlikely it was."""
    vocabulary = material.vocabulary
    if vocabulary is None or not isinstance(model, AutoregressiveModel):
        return []
    context = material.rows.context
    size = (vocabulary.separator and _WORDS) or _CHARACTERS
    num_rows = _num_rows(material, size)
    held_out = material.rows.x[:num_rows]
    given = None if context is None else context[:num_rows]
    drawn = model.sample(len(held_out), given)
    pictures = []
    for name, section, rows, what in (
        ("surprise", Section.CONDITIONALS, held_out, "Held-out text"),
        ("samples", Section.SAMPLES, drawn, "Samples"),
    ):
        bits = -model.log_prob_sites(rows, given) / math.log(2)
        symbols, values = _excerpt(rows, bits, vocabulary, material.spec.end_code, size)
        caption = (
            f"{what}: the darker the ground of a symbol, the less the model expected it, given "
            f"what comes before it. Together they cost {float(values.mean()):.2f} bits for each."
        )
        if material.spec.end_code is None:
            caption += " A window begins where nothing is known yet."
        figure = coloured_text(symbols, values, quantity=_QUANTITY)
        pictures.append(Picture(name, section, caption, figure, is_vector=False))
    return pictures


def _num_rows(material: Material, size: int) -> int:
    if material.spec.end_code is not None:
        return min(_SEQUENCES, len(material.rows))
    return min(max(1, -(-size // material.spec.num_dims)), len(material.rows))


def _excerpt(
    rows: Tensor, bits: Tensor, vocabulary: Vocabulary, end_code: int | None, size: int
) -> tuple[list[str], np.ndarray]:
    """Symbols as they are read, and the bits of each; sequences up to their ends."""
    kept = torch.ones_like(rows, dtype=torch.bool)
    if end_code is not None:
        ended = (rows == end_code).cummax(1).values
        kept[:, 1:] = ~ended[:, :-1]
    codes = rows[kept].long().tolist()
    symbols = [_read(vocabulary, code) for code in codes]
    values = bits[kept].double().cpu().numpy()
    return (symbols, values) if end_code is not None else (symbols[:size], values[:size])


def _read(vocabulary: Vocabulary, code: int) -> str:
    if vocabulary.encoding:
        return chr(code) if code < 128 else "□"  # a part of a character of several bytes
    text = vocabulary.decode([code])
    return text if text == "\n" or not vocabulary.separator else text + vocabulary.separator
