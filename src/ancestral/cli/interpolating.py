"""`interpolate` and `arithmetic`: what codes between and beyond those of data decode to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ancestral.cli.flags import Flag

if TYPE_CHECKING:
    import numpy as np

    from ancestral.cli.attributes import Attribute
    from ancestral.data import Dataset, Source

__all__ = ["arithmetic", "interpolate"]

_ROWS = 10_000  # by which an attribute's vector is estimated, at most


def interpolate(
    run: Path,
    data: str | None = None,
    /,
    *,
    out: Path,
    split: Literal["train", "valid", "test"] | None = None,
    num: int = 6,
    steps: int = 9,
    path: Literal["linear", "spherical"] = "linear",
    overwrite: Flag = False,
    data_dir: Path | None = None,
    device: str | None = None,
) -> None:
    """Decoded paths between the codes of pairs of data: row i and row num + i.

    In a picture each strip begins and ends with data; beside them are their reconstructions, and
    between those what the model makes of the codes on the way.

    Args:
        run: folder of the run, of a model with latent variables.
        data: a name or a path; the run's own data if it is not given. All rows of a file, in its
            order; of the run's own data, and of data that come in splits, the test split.
        out: file to write: .png for images, .csv for tables (with columns pair, step and t), .txt
            for text, .npz or .npy.
        split: train, valid or test; a tenth of a file that brings no splits is its test split.
        num: of pairs.
        steps: points on each path, both ends included.
        path: linear goes straight from code to code; spherical turns by equal angles, and keeps
            away from the middle, where codes of many dimensions hardly ever lie.
        overwrite: replace --out if it is there.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one.
    """
    import numpy as np

    from ancestral.cli.contents import Content, array_of
    from ancestral.cli.opened import first_rows, open_run
    from ancestral.cli.outputs import writing
    from ancestral.cli.strips import Strips
    from ancestral.core import OptionError
    from ancestral.data import as_given

    if num < 1:
        raise OptionError(f"expected at least 1 pair of rows (--num), got {num}")
    if steps < 2:
        raise OptionError(f"expected at least 2 steps from end to end (--steps), got {steps}")
    opened = open_run(run, device)
    content = Content(opened.config.spec, opened.text)
    with writing(out, Strips.suffixes(content), overwrite=overwrite) as temporary:
        rows = opened.rows(data, split, data_dir)
        source = first_rows(rows.source, 2 * num)
        if len(source) < 2 * num:
            raise OptionError(
                f"expected {2 * num} rows for {num} pairs, got {len(source)}",
                hint=f"--num {len(source) // 2}",
            )
        start, end = source.subset(slice(0, num)), source.subset(slice(num, 2 * num))
        codes = opened.estimator.code_paths(start, end, steps, path=path)
        decoded = opened.estimator.decode(codes)
        Strips(
            content,
            decoded,
            np.linspace(0, 1, steps),
            "t",
            "pair",
            array_of(as_given(start)),
            array_of(as_given(end)),
            {"interpolations": decoded, "codes": codes},
        ).write(temporary)
    if data is not None:
        rows.tell(2 * num)
    print(out)


def arithmetic(
    run: Path,
    data: str | None = None,
    /,
    *,
    out: Path,
    add: str,
    subtract: str | None = None,
    split: Literal["train", "valid", "test"] | None = None,
    num: int = 6,
    steps: int = 5,
    strength: float = 2.0,
    label: str | None = None,
    overwrite: Flag = False,
    data_dir: Path | None = None,
    device: str | None = None,
) -> None:
    """Rows with more or less of an attribute: its vector in the space of codes, added to theirs.

    The vector is the mean code of training rows, or of all rows of a file, with the attribute
    less that of rows without it. Rows are decoded from their codes with the vector added from
    -strength to strength times; 0 is the reconstruction.

    Args:
        run: folder of the run, of a model with latent variables.
        data: a name or a path; the run's own data if it is not given. All rows of a file, in its
            order; of the run's own data, and of data that come in splits, the test split.
        out: file to write: .png for images, .csv for tables (with columns row, step, strength),
            .txt for text, .npz or .npy.
        add: the attribute, such as label=3, or of a table's column colour=red or 'height>170'.
        subtract: rows to compare with, in the same form; all rows without the attribute if it is
            not given.
        split: train, valid or test: where the rows that are changed come from.
        num: of rows that are changed: the first that have what is subtracted.
        steps: how many strengths, from -strength to strength.
        strength: the largest.
        label: column of labels, of data other than the run's own.
        overwrite: replace --out if it is there.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one.
    """
    import numpy as np

    from ancestral.cli.attributes import Attribute
    from ancestral.cli.contents import Content, array_of
    from ancestral.cli.opened import open_run, random_rows
    from ancestral.cli.outputs import writing
    from ancestral.cli.strips import Strips
    from ancestral.core import OptionError
    from ancestral.data import as_given

    if steps < 2 or num < 1 or not 0 < strength < float("inf"):
        raise OptionError(
            "expected --steps of at least 2, --num of at least 1 and a --strength above 0, got "
            f"{steps}, {num} and {strength:g}"
        )
    wanted = Attribute.parse(add)
    other = None if subtract is None else Attribute.parse(subtract)
    opened = open_run(run, device)
    content = Content(opened.config.spec, opened.text)
    with writing(out, Strips.suffixes(content), overwrite=overwrite) as temporary:
        rows = opened.rows(data, split, data_dir, label=label)
        dataset, kind = rows.dataset, "rows" if rows.split == "all" else "training rows"
        known = random_rows(dataset.splits.get("train", rows.source), _ROWS)
        has, lacks = _masks(known, dataset, wanted, other)
        compared = f"without {wanted}" if other is None else f"with {other}"
        _refuse_none(has, f"{kind} with {wanted}")
        _refuse_none(lacks, f"{kind} {compared}")
        vector = opened.estimator.attribute_vector(known, has, lacks)
        source = rows.source
        _, changed = _masks(source, dataset, wanted, other)
        _refuse_none(changed, f"rows {compared} among {rows.in_words}")
        source = source.subset(np.flatnonzero(changed)[:num])
        strengths = np.linspace(-strength, strength, steps)
        decoded = opened.estimator.shift(source, vector, strengths.tolist())
        Strips(
            content,
            decoded,
            strengths,
            "strength",
            "row",
            array_of(as_given(source)),
            arrays={"decoded": decoded, "vector": vector},
        ).write(temporary)
    print(
        f"{wanted}: the mean code of {int(has.sum()):,} rows less that of {int(lacks.sum()):,} "
        f"{'others' if other is None else f'with {other}'}",
        file=sys.stderr,
    )
    if data is not None:
        rows.tell(len(source))
    print(out)


def _masks(
    source: Source, dataset: Dataset, wanted: Attribute, other: Attribute | None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows with the attribute, and those to compare them with: [rows] bool each."""
    has, known = wanted.holds(source, dataset.label_names)
    return has, known & ~has if other is None else other.holds(source, dataset.label_names)[0]


def _refuse_none(mask: np.ndarray, which: str) -> None:
    """Refuse a mean, or a picture, of no rows.

    Raises:
        DataError: the mask is empty.
    """
    from ancestral.core import DataError

    if not mask.any():
        raise DataError(f"expected {which}, got none", hint="name another value, or another split")
