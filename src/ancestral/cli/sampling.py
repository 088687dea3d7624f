"""`sample`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ancestral.cli.flags import Flag

if TYPE_CHECKING:
    from ancestral.models import Drawn, Truncation

__all__ = ["sample"]

Method = Literal["auto", "naive", "cached", "jacobi", "row_jacobi"]


def sample(
    run: Path,
    /,
    *,
    out: Path,
    num: int = 64,
    seed: int = 0,
    method: Method = "auto",
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    given: str | None = None,
    overwrite: Flag = False,
    device: str | None = None,
) -> None:
    """Draw new data from a run: ancestral samples, each variable given those it depends on.

    Args:
        run: folder of the run.
        out: file to write: .npz or .npy for any data, .png for images, .csv for tables and other
            rows of numbers, .txt for text, .wav for sound.
        num: of samples.
        seed: of the samples.
        method: of autoregressive models; the samples are the same, only the time differs. naive
            takes a pass of the network for each cell, cached one small step, jacobi passes over
            all cells until none changes, row_jacobi the same row by row.
        temperature: of autoregressive models of codes: below 1 favours what is likely.
        top_k: keep so many of the likeliest codes at each step.
        top_p: keep the likeliest codes that have this mass together.
        given: class to draw from, for a run that was fitted with --given label; all in turn, if
            it is not given.
        overwrite: replace --out if it is there.
        device: cpu or cuda; cuda if there is one.
    """
    from ancestral.cli.contents import Content
    from ancestral.cli.given import contexts
    from ancestral.cli.opened import open_run
    from ancestral.cli.outputs import writing
    from ancestral.models import SamplingMethod

    truncation = _truncation(temperature, top_k, top_p)
    opened = open_run(run, device)
    context = contexts(opened.config.spec, given, num)
    content = Content(opened.config.spec, opened.text)
    formats = content.formats
    with writing(out, list(formats), overwrite=overwrite) as temporary:
        drawn = opened.estimator.draw(
            num, seed, context=context, method=SamplingMethod(method), truncation=truncation
        )
        formats[out.suffix.lower()](temporary, drawn.x.numpy())
    for sentence in _sentences(drawn, truncation):
        print(f"note: {sentence}", file=sys.stderr)
    print(out)


def _truncation(temperature: float, top_k: int | None, top_p: float | None) -> Truncation | None:
    from ancestral.models import Truncation

    if temperature == 1 and top_k is None and top_p is None:
        return None
    return Truncation(temperature, top_k, top_p)


def _sentences(drawn: Drawn, truncation: Truncation | None) -> list[str]:
    """What a user should know of how the samples came about."""
    sentences = []
    if drawn.num_passes:
        sentences.append(f"{drawn.method}: {drawn.num_passes:,} passes of the network")
    if truncation is not None:
        sentences.append("with temperature, top-k or top-p these are not samples of the model")
    return sentences
