"""`encode` and `reconstruct`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ancestral.cli.flags import Flag

__all__ = ["encode", "reconstruct"]

Split = Literal["train", "valid", "test"]

_PICTURED = 64  # rows in a picture


def encode(
    run: Path,
    data: str | None = None,
    /,
    *,
    out: Path | None = None,
    split: Split | None = None,
    layers: Literal["all", "top"] = "all",
    scores: Flag = False,
    json: Flag = False,
    label: str | None = None,
    overwrite: Flag = False,
    data_dir: Path | None = None,
    device: str | None = None,
) -> None:
    """Codes of data, one vector for each datum, and what they say of labels.

    Means of q(z | x) of models with latent variables; of autoregressive models the hidden layer
    of the network, pooled. The same row has the same code in any company.

    Args:
        run: folder of the run.
        data: a name or a path; the run's own data if it is not given. All rows of a file, in its
            order; of the run's own data, and of data that come in splits, the test split.
        out: file to write: .npz (with labels, if there are any), .npy or .csv; needed unless
            --scores is given.
        split: train, valid or test; a tenth of a file that brings no splits is its test split.
        layers: of a model with several layers of latent variables: all of them, or the top one.
        scores: where there are labels, how well they can be told from codes: a linear probe and
            nearest neighbours that are trained on codes of the training split, and clusters; each
            beside the same on x itself.
        json: print the scores as one JSON object.
        label: column of labels, of data other than the run's own.
        overwrite: replace --out if it is there.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one.
    """
    from contextlib import nullcontext

    from ancestral.cli.contents import labels_of
    from ancestral.cli.opened import open_run
    from ancestral.cli.outputs import writing
    from ancestral.cli.probing import print_scores, print_scores_as_json, probed, write_codes
    from ancestral.core import OptionError

    if out is None and not (scores or json):
        raise OptionError("expected --out or --scores, got neither", hint="--out codes.npz")
    opened = open_run(run, device)
    suffixes = (".npz", ".npy", ".csv")
    place = nullcontext() if out is None else writing(out, suffixes, overwrite=overwrite)
    with place as temporary:
        rows = opened.rows(data, split, data_dir, label=label)
        found, part = None, "test" if rows.split == "all" else rows.split
        if scores or json:
            # classifiers need rows to train on, and others to be tested on
            dataset = rows.dataset
            if rows.split == "all":
                dataset = opened.data(data, data_dir, label=label)
            found = probed(opened, dataset, part, layers=layers)
        if temporary is not None:
            codes = opened.estimator.encode(rows.source, layers=layers)
            write_codes(temporary, codes, labels_of(rows.source, rows.dataset.label_names))
    if found is not None:
        about = f"{opened.config.recipe} on {rows.dataset.name}, {part} split"
        (print_scores_as_json if json else print_scores)(found, about)
    if out is not None and data is not None:
        rows.tell()
    if out is not None and not json:
        print(out)


def reconstruct(
    run: Path,
    data: str | None = None,
    /,
    *,
    out: Path,
    split: Split | None = None,
    num: int | None = None,
    overwrite: Flag = False,
    data_dir: Path | None = None,
    device: str | None = None,
) -> None:
    """Data as the decoder gives them back from their codes; missing cells are filled in.

    Args:
        run: folder of the run.
        data: a name or a path; the run's own data if it is not given. All rows of a file, in its
            order; of the run's own data, and of data that come in splits, the test split.
        out: file to write: .npz (data, reconstructions), .npy, .csv, or .png of both for images.
        split: train, valid or test; a tenth of a file that brings no splits is its test split.
        num: rows from the start; all, or 64 in a picture, if it is not given.
        overwrite: replace --out if it is there.
        data_dir: folder of data sets.
        device: cpu or cuda; cuda if there is one.
    """
    from ancestral.cli.contents import Content, array_of, save_arrays
    from ancestral.cli.opened import first_rows, open_run
    from ancestral.cli.outputs import writing
    from ancestral.data import as_given

    opened = open_run(run, device)
    content = Content(opened.config.spec)
    suffixes = [s for s in (".npz", ".npy", ".csv", ".png") if s in content.formats]
    with writing(out, suffixes, overwrite=overwrite) as temporary:
        suffix = out.suffix.lower()
        rows = opened.rows(data, split, data_dir)
        source = rows.source
        wanted = _PICTURED if num is None and suffix == ".png" else num
        source = source if wanted is None else first_rows(source, wanted)
        found, given = opened.estimator.reconstruct(source), array_of(as_given(source))
        if suffix == ".png":
            content.write_grids(temporary, {"data": given, "model": found})
        elif suffix == ".csv":
            content.write_table(temporary, found)
        elif suffix == ".npy":
            save_arrays(temporary, {"reconstructions": found})
        else:
            save_arrays(temporary, {"data": given, "reconstructions": found})
    if data is not None:
        rows.tell(len(source))
    print(out)
