"""`fit`: one command for each recipe, whose options are the recipe's own.

The commands are made from what the source declares, so that their help needs no torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from ancestral.cli.declared import (
    DeclaredOption,
    DeclaredRecipe,
    argument_help,
    recipes,
    training_options,
)
from ancestral.cli.flags import Flag

__all__ = ["fit"]

fit = App(name="fit", help="Train a recipe on data; `ancestral fit RECIPE --help` lists options")

_RECIPE = Group("Options of the recipe", sort_key=1)
_TRAINING = Group("Options of training", sort_key=2)
_RUN = Group("Data and run", sort_key=3)

Kinds = Literal["binary", "categorical", "levels", "count", "real", "positive", "unit"]


def run_options(
    data: str = "digits",
    /,
    *,
    out: Path | None = None,
    resume: Flag = False,
    overwrite: Flag = False,
    report: bool = True,
    quiet: Flag = False,
    tensorboard: Flag = False,
    device: str | None = None,
    data_dir: Path | None = None,
    label: str | None = None,
    drop: tuple[str, ...] = (),
    kind: Kinds | None = None,
    binarization: Literal["none", "static", "dynamic"] | None = None,
    dequantize: Flag = False,
    given: Literal["label"] | None = None,
    length: int | None = None,
    symbols: Literal["characters", "bytes", "words", "lines"] | None = None,
) -> None:
    """Options that every recipe has.

    Args:
        data: a name (see `ancestral list`) or a path: .npy .npz .csv .parquet .h5ad .txt .wav,
            a .zip of sounds, idx(.gz), or a folder of pictures.
        out: folder of the run; runs/RECIPE-DATA if it is not given.
        resume: go on from the checkpoint in --out.
        overwrite: start anew in a folder that holds a run.
        report: evaluate afterwards, and write report.html and pictures.
        quiet: show no progress.
        tensorboard: write TensorBoard events into the run.
        device: cpu or cuda; cuda if there is one.
        data_dir: folder of data sets, looked in before $ANCESTRAL_DATA and the cache.
        label: column of labels, for pictures; the model sees it only with --given.
        drop: column to leave out; can be given several times.
        kind: what every cell is; found from the values if it is not given.
        binarization: of grey values; the data set's own choice if it is not given.
        dequantize: add uniform noise to integers, for densities over real numbers.
        given: label models each row given its class: p(x | label).
        length: symbols of a window of text (256; 64 words), or samples of a frame of sound.
        symbols: what a .txt file is a sequence of; each of the lines is a datum of its own.
    """


def command_of(recipe: DeclaredRecipe) -> Callable[..., None]:
    """The function behind `ancestral fit RECIPE`, with the signature that its help shows."""
    training, training_doc = training_options()
    general = inspect.signature(run_options, eval_str=True).parameters
    own = [_parameter(option, _RECIPE, option.default) for option in recipe.options]
    of_training = [
        _parameter(option, _TRAINING, recipe.training.get(option.name, option.default))
        for option in training
    ]
    of_run = [_in_group(parameter) for parameter in general.values()]
    names = {parameter.name for parameter in (*own, *of_training)}

    def command(data: str = "digits", **given: Any) -> None:
        from ancestral.cli.training_run import TrainingRun, train_run

        options = {name: value for name, value in given.items() if name in names}
        rest = {name: value for name, value in given.items() if name not in names}
        train_run(recipe.name, options, TrainingRun(data=data, **rest))

    parameters = [*of_run[:1], *own, *of_training, *of_run[1:]]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    arguments = (recipe.doc, training_doc, run_options.__doc__ or "")
    listed = "\n".join(argument_help(doc) for doc in arguments)
    command.__doc__ = f"{recipe.doc.partition('Args:')[0].rstrip()}\n\nArgs:\n{listed}\n"
    return command


def _parameter(option: DeclaredOption, group: Group, default: Any) -> inspect.Parameter:
    annotation = Annotated[option.type, Parameter(group=group)]
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(option.name, kind, default=default, annotation=annotation)


def _in_group(parameter: inspect.Parameter) -> inspect.Parameter:
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        return parameter
    # only what is on by default needs a word to turn it off: --no-report
    negative = f"--no-{parameter.name}" if parameter.default is True else ()
    how = Parameter(group=_RUN, negative=negative)
    return parameter.replace(annotation=Annotated[parameter.annotation, how])


for _recipe in recipes().values():
    fit.command(command_of(_recipe), name=_recipe.name, help=None)
