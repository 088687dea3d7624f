"""What `fit` does once its options are known."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ancestral.cli.data_choice import DataChoice, KeptText
from ancestral.cli.evaluating import print_evaluation
from ancestral.cli.heralded import Heralded
from ancestral.cli.opened import OpenedRun, checked_device
from ancestral.cli.problems import Interrupted
from ancestral.cli.reporting import report_run
from ancestral.data import Dataset
from ancestral.estimator import RunConfig, check_folder
from ancestral.recipes import build
from ancestral.training import Silent, TensorBoardMetrics, reporter_for

__all__ = ["TrainingRun", "train_run"]

_CHECKPOINT = "checkpoint/state.safetensors"


@dataclass(frozen=True)
class TrainingRun:
    """Options that every recipe has; `fit --help` explains them."""

    data: str
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    report: bool = True
    quiet: bool = False
    tensorboard: bool = False
    device: str | None = None
    data_dir: Path | None = None
    label: str | None = None
    drop: tuple[str, ...] = ()
    kind: str | None = None
    binarization: str | None = None
    dequantize: bool = False
    given: str | None = None
    length: int | None = None
    symbols: str | None = None

    @property
    def choice(self) -> DataChoice:
        """Which data."""
        return DataChoice(
            self.data,
            self.label,
            self.drop,
            self.kind,
            self.binarization,
            self.dequantize,
            None if self.data_dir is None else str(self.data_dir),
            self.given,
            self.length,
            self.symbols,
        )


def train_run(recipe: str, options: Mapping[str, Any], run: TrainingRun) -> None:
    """Train, save, evaluate, report.

    Args:
        recipe: name.
        options: of the recipe and of training, those that were given.
        run: the other options.

    Raises:
        Interrupted: Ctrl-C, with a sentence on how to go on.
    """
    choice = run.choice
    folder = run.out or Path("runs") / f"{recipe}-{choice.short_name}"
    estimator = build(recipe, device=checked_device(run.device), **options)
    check_folder(folder, resume=run.resume, overwrite=run.overwrite)
    writers = (TensorBoardMetrics(folder / "tensorboard"),) if run.tensorboard else ()
    data = choice.read()
    shown = Silent() if run.quiet else reporter_for(sys.stderr)
    reporter = Heralded(shown, _sentences(data))
    try:
        estimator.fit(
            data.train,
            validation=data.splits.get("valid"),
            folder=folder,
            resume=run.resume,
            overwrite=run.overwrite,
            reporter=reporter,
            writers=writers,
            provenance=choice.to_dict() | KeptText(data.vocabulary, data.sample_rate).to_dict(),
        )
    except KeyboardInterrupt:
        raise _interrupted(recipe, options, run, folder) from None
    finally:
        shown.close()
    shown.say(f"training is over: {estimator.outcome_.stopped}")
    print(folder)
    if run.report:
        opened = OpenedRun(folder, RunConfig.load(folder), estimator)
        found, path = report_run(opened, data)
        print_evaluation(found)
        print(path)


def _sentences(data: Dataset) -> list[str]:
    sizes = ", ".join(f"{len(source):,} {name}" for name, source in data.splits.items())
    shape = " x ".join(map(str, data.spec.shape))
    sentences = [
        f"{data.name}: rows of {shape} cells ({sizes})",
        f"kind of the data: {data.spec.reason}",
        data.provenance,
    ]
    return [sentence for sentence in sentences if sentence]


def _interrupted(
    recipe: str, options: Mapping[str, Any], run: TrainingRun, folder: Path
) -> Interrupted:
    if not (folder / _CHECKPOINT).exists():
        return Interrupted("interrupted before the first checkpoint; nothing is kept")
    words = ["ancestral", "fit", recipe, run.data, "--out", str(folder)]
    for name, value in options.items():
        words += _typed(name, value)
    for name in (
        "device",
        "data_dir",
        "label",
        "kind",
        "binarization",
        "given",
        "length",
        "symbols",
    ):
        if getattr(run, name) is not None:
            words += _typed(name, getattr(run, name))
    for column in run.drop:
        words += _typed("drop", column)
    words += ["--dequantize"] if run.dequantize else []
    return Interrupted(
        f"interrupted; the checkpoint in {folder} is kept, go on with: "
        f"{shlex.join([*words, '--resume'])}"
    )


def _typed(name: str, value: Any) -> list[str]:
    word = "--" + name.replace("_", "-")
    if value is True:
        return [word]
    return [] if value is False else [word, str(value)]
