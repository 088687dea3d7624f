"""`sample`."""

from __future__ import annotations

from pathlib import Path

from ancestral.cli.flags import Flag

__all__ = ["sample"]


def sample(
    run: Path,
    /,
    *,
    out: Path,
    num: int = 64,
    seed: int = 0,
    overwrite: Flag = False,
    device: str | None = None,
) -> None:
    """Draw new data from a run: ancestral samples, z from the prior and x given z.

    Args:
        run: folder of the run.
        out: file to write: .npz or .npy for any data, .png for images, .csv for tables and other
            rows of numbers, .txt for text, .wav for sound.
        num: of samples.
        seed: of the samples.
        overwrite: replace --out if it is there.
        device: cpu or cuda; cuda if there is one.
    """
    from ancestral.cli.contents import Content
    from ancestral.cli.opened import open_run
    from ancestral.cli.outputs import writing

    opened = open_run(run, device)
    content = Content(opened.config.spec, opened.text)
    formats = content.formats
    with writing(out, list(formats), overwrite=overwrite) as temporary:
        samples = opened.estimator.sample(num, seed=seed)
        formats[out.suffix.lower()](temporary, samples)
    print(out)
