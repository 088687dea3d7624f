"""`sample`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from ancestral.cli.flags import Flag

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
    prompt: str | None = None,
    length: int | None = None,
    precision: Literal["float32", "bf16"] = "float32",
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
        prompt: what samples of text begin with; they are drawn given it, exactly.
        length: symbols of a sample of text, or moments of a sample of sound or of a series; as
            many as the model was trained on, if it is not given.
        precision: of the networks' matrix products; bf16 draws other samples, and is up to twice
            as fast for recurrent networks.
        overwrite: replace --out if it is there.
        device: cpu or cuda; cuda if there is one.
    """
    from ancestral.cli.contents import Content
    from ancestral.cli.drawing import Sampling
    from ancestral.cli.given import contexts
    from ancestral.cli.opened import open_run
    from ancestral.cli.outputs import writing
    from ancestral.core import Precision
    from ancestral.models import SamplingMethod, Truncation

    plain = (temperature, top_k, top_p) == (1, None, None)
    asked = Sampling(
        num=num,
        seed=seed,
        method=SamplingMethod(method),
        truncation=None if plain else Truncation(temperature, top_k, top_p),
        prompt=prompt,
        length=length,
        precision=Precision(precision),
    )
    opened = open_run(run, device)
    context = contexts(opened.config.spec, given, num)
    content = Content(opened.config.spec, opened.text)
    own_shape = length is None and prompt is None
    formats = content.formats if own_shape else content.formats_of_any_length
    with writing(out, list(formats), overwrite=overwrite) as temporary:
        drawn = asked.draw(opened, context)
        formats[out.suffix.lower()](temporary, drawn.x.numpy())
    for sentence in asked.sentences(drawn):
        print(f"note: {sentence}", file=sys.stderr)
    print(out)
