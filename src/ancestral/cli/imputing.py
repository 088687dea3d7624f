"""`impute`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ancestral.cli.flags import Flag

if TYPE_CHECKING:
    import torch

    from ancestral.applications import Imputation
    from ancestral.cli.opened import OpenedRun
    from ancestral.data import Source

__all__ = ["impute"]

_PICTURED = 16  # rows in a picture
_DRAWS_PICTURED = 3
_HALVES = ("top", "bottom", "left", "right")


def impute(
    run: Path,
    data: str | None = None,
    /,
    *,
    out: Path,
    split: str | None = None,
    num: int | None = None,
    num_samples: int = 100,
    num_particles: int = 256,
    hide: str = "",
    seed: int = 0,
    overwrite: Flag = False,
    data_dir: Path | None = None,
    device: str | None = None,
) -> None:
    """Fill in missing cells: draws from p(missing | known), and the best guess of each cell.

    Args:
        run: folder of the run; it need not have seen gaps in training.
        data: a name or a path, with empty cells or NaN where something is missing. The run's own
            data if it is not given. All rows of a file, in its order; of data that come in
            splits, the test split.
        out: file to write: .npz (data, completed, samples, weights, ess, log_evidence), .npy or
            .csv of the completed rows, or .png for images.
        split: train, valid or test, of data that have splits; of the run's own data, as they
            were split for training.
        num: rows from the start; all, or 16 in a picture, if it is not given.
        num_samples: draws of each row.
        num_particles: of each row at least, where the model needs sequential Monte Carlo.
        hide: cells to take away first: a share at random, such as 0.3, or, of images, the top,
            bottom, left or right half.
        seed: of the draws, and of what is hidden.
        overwrite: replace --out if it is there.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one.
    """
    from ancestral.applications import Imputation, ParticleFilter
    from ancestral.cli.contents import Content, array_of, save_arrays
    from ancestral.cli.opened import first_rows, open_run
    from ancestral.cli.outputs import writing
    from ancestral.core import DataError

    opened = open_run(run, device)
    content = Content(opened.config.spec)
    suffixes = [s for s in (".npz", ".npy", ".csv", ".png") if s in content.formats]
    settings = ParticleFilter(num_particles)
    with writing(out, suffixes, overwrite=overwrite) as temporary:
        suffix = out.suffix.lower()
        source, rows = _chosen(opened, data, split, data_dir)
        num_rows = len(source)
        wanted = _PICTURED if num is None and suffix == ".png" else num
        source = source if wanted is None else first_rows(source, wanted)
        source = _hidden(source, hide, seed) if hide else source
        if all(batch.observed is None or batch.observed.all() for batch in source.ordered(1000)):
            raise DataError(
                "expected rows with missing cells, got complete ones",
                hint="leave cells empty, or try --hide 0.3",
            )
        # draws are kept only where they are written
        found: list[Imputation] = []
        completed: list[torch.Tensor] = []
        for part in opened.estimator.imputed(source, num_samples, seed=seed, particles=settings):
            completed.append(part.completed(opened.config.spec).cpu())
            found.append(part if suffix in (".npz", ".png") else part.without_samples())
        together = Imputation.concatenate(found)
        filled = _joined(completed)
        if suffix == ".png":
            grids = {"data": array_of(source), "completed": filled}
            for i in range(min(_DRAWS_PICTURED, num_samples)):
                grids[f"draw {i + 1}"] = together.samples[:, i].cpu().numpy()
            content.write_grids(temporary, grids)
        elif suffix == ".csv":
            content.write_table(temporary, filled)
        elif suffix == ".npy":
            save_arrays(temporary, {"completed": filled})
        else:
            arrays = {"data": array_of(source), "completed": filled}
            save_arrays(temporary, arrays | together.arrays())
    print(f"{len(source):,} of {num_rows:,} rows of {rows}", file=sys.stderr)
    _tell(together)
    print(out)


def _chosen(
    opened: OpenedRun, data: str | None, split: str | None, data_dir: Path | None
) -> tuple[Source, str]:
    """The rows to fill in, and which they are, in words."""
    # gaps are wherever they are: the run's own file is read whole, as any other file
    name = opened.config.data.get("name") if data is None and split is None else data
    dataset = opened.data_with_gaps(name, data_dir)
    if split is None and len(dataset.splits) == 1:
        return next(iter(dataset.splits.values())), f"{dataset.name}, in its order"
    chosen = split or "test"
    return dataset.split(chosen), f"the {chosen} split of {dataset.name}"


def _joined(parts: list[torch.Tensor]):  # noqa: ANN202 - numpy is imported late
    import torch

    return torch.cat(parts).numpy()


def _tell(found: Imputation) -> None:
    """How it was done, on stderr."""
    estimate = found.log_evidence
    print(f"completed {found.method}", file=sys.stderr)
    kind = str(estimate.kind).replace("_", " ")
    print(f"log p(known cells) {estimate.mean:.3f} nats a row ({kind})", file=sys.stderr)
    for sentence in found.warnings:
        print(f"warning: {sentence}", file=sys.stderr)


def _hidden(source: Source, hide: str, seed: int) -> Source:
    """The rows without some of their cells.

    Raises:
        OptionError: neither a share nor a half of an image.
    """
    import torch

    from ancestral.core import derived_seed
    from ancestral.data import Masked

    shape = source.spec.shape
    taken = _share_or_half(hide, () if source.spec.image_shape is None else _HALVES)
    if isinstance(taken, str):
        height, width = shape[0] // 2, shape[1] // 2
        seen = torch.ones(len(source), *shape, dtype=torch.bool)
        rows = {"top": slice(height), "bottom": slice(height, None)}.get(taken, slice(None))
        columns = {"left": slice(width), "right": slice(width, None)}.get(taken, slice(None))
        seen[:, rows, columns] = False
    else:
        generator = torch.Generator().manual_seed(derived_seed(seed, 0))
        seen = torch.rand(len(source), *shape, generator=generator) >= taken
    return Masked(source, seen)


def _share_or_half(hide: str, halves: tuple[str, ...]) -> float | str:
    """What to take away."""
    from ancestral.core import OptionError

    if hide in halves:
        return hide
    try:
        share = float(hide)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        others = f", or one of {', '.join(halves)}" if halves else ""
        raise OptionError(
            f"expected --hide to be a share above 0 and at most 1{others}, got {hide!r}",
            hint="--hide 0.3 hides each cell with a chance of 0.3",
        )
    return share
