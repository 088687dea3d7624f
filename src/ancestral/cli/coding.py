"""`encode`, `reconstruct` and `interpolate`."""

from __future__ import annotations

from pathlib import Path

from ancestral.cli.flags import Flag

__all__ = ["encode", "interpolate", "reconstruct"]

_PICTURED = 64  # rows in a picture


def encode(
    run: Path,
    data: str | None = None,
    /,
    *,
    out: Path,
    split: str = "test",
    overwrite: Flag = False,
    data_dir: Path | None = None,
    device: str | None = None,
) -> None:
    """Latent codes of data, one row for each datum: means of q(z | x).

    Args:
        run: folder of the run.
        data: a name or a path; the run's own data if it is not given.
        out: file to write: .npz (with labels, if there are any), .npy or .csv.
        split: train, valid or test.
        overwrite: replace --out if it is there.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one.
    """
    from ancestral.cli.contents import labels_of, save_arrays, write_csv
    from ancestral.cli.opened import open_run
    from ancestral.cli.outputs import writing

    opened = open_run(run, device)
    with writing(out, (".npz", ".npy", ".csv"), overwrite=overwrite) as temporary:
        dataset = opened.data(data, data_dir)
        source = dataset.split(split)
        codes = opened.estimator.encode(source)
        labels = labels_of(source, dataset.label_names)
        if out.suffix.lower() == ".csv":
            names = [f"z_{i + 1}" for i in range(codes.shape[1])]
            columns = [*codes.T.astype(str), *(column.astype(str) for column in labels.values())]
            rows = list(zip(*columns, strict=True))
            write_csv(temporary, [*names, *labels], rows)
        else:
            save_arrays(temporary, {"codes": codes, **labels})
    print(out)


def reconstruct(
    run: Path,
    data: str | None = None,
    /,
    *,
    out: Path,
    split: str = "test",
    num: int | None = None,
    overwrite: Flag = False,
    data_dir: Path | None = None,
    device: str | None = None,
) -> None:
    """Data as the decoder gives them back from their codes; missing cells are filled in.

    Args:
        run: folder of the run.
        data: a name or a path; the run's own data if it is not given.
        out: file to write: .npz (data, reconstructions), .npy, .csv, or .png of both for images.
        split: train, valid or test.
        num: rows from the start of the split; all, or 64 in a picture, if it is not given.
        overwrite: replace --out if it is there.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one.
    """
    from ancestral.cli.contents import Content, array_of, save_arrays
    from ancestral.cli.opened import first_rows, open_run
    from ancestral.cli.outputs import writing

    opened = open_run(run, device)
    content = Content(opened.config.spec)
    suffixes = [s for s in (".npz", ".npy", ".csv", ".png") if s in content.formats]
    with writing(out, suffixes, overwrite=overwrite) as temporary:
        suffix = out.suffix.lower()
        source = opened.data(data, data_dir).split(split)
        wanted = _PICTURED if num is None and suffix == ".png" else num
        source = source if wanted is None else first_rows(source, wanted)
        found = opened.estimator.reconstruct(source)
        if suffix == ".png":
            content.write_grids(temporary, {"data": array_of(source), "model": found})
        elif suffix == ".csv":
            content.write_table(temporary, found)
        elif suffix == ".npy":
            save_arrays(temporary, {"reconstructions": found})
        else:
            save_arrays(temporary, {"data": array_of(source), "reconstructions": found})
    print(out)


def interpolate(
    run: Path,
    data: str | None = None,
    /,
    *,
    out: Path,
    split: str = "test",
    num: int = 6,
    steps: int = 9,
    overwrite: Flag = False,
    data_dir: Path | None = None,
    device: str | None = None,
) -> None:
    """Decoded straight lines between the codes of pairs of data: row i and row num + i.

    Args:
        run: folder of the run.
        data: a name or a path; the run's own data if it is not given.
        out: file to write: .npz, .npy, or .png for images.
        split: train, valid or test.
        num: of pairs.
        steps: points on each line, both ends included.
        overwrite: replace --out if it is there.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one.
    """
    from ancestral.cli.contents import Content, save_arrays
    from ancestral.cli.opened import first_rows, open_run
    from ancestral.cli.outputs import writing
    from ancestral.core import OptionError

    opened = open_run(run, device)
    content = Content(opened.config.spec)
    suffixes = [s for s in (".npz", ".npy", ".png") if s in content.formats]
    with writing(out, suffixes, overwrite=overwrite) as temporary:
        source = first_rows(opened.data(data, data_dir).split(split), 2 * num)
        if len(source) < 2 * num:
            raise OptionError(
                f"expected {2 * num} rows for {num} pairs, got {len(source)}",
                hint=f"--num {len(source) // 2}",
            )
        start, end = source.subset(slice(0, num)), source.subset(slice(num, 2 * num))
        lines = opened.estimator.interpolate(start, end, steps)
        if out.suffix.lower() == ".png":
            from ancestral.plots import ImageRow, image_rows, save

            pixels = content.pixels(lines.reshape(-1, *content.spec.shape))
            rows = [ImageRow(part) for part in pixels.reshape(num, steps, *pixels.shape[1:])]
            save(image_rows(rows), temporary)
        else:
            save_arrays(temporary, {"interpolations": lines})
    print(out)
