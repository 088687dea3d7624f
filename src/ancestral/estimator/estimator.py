"""`DensityEstimator`: the front door."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ancestral.core import (
    Estimate,
    OptionError,
    Specification,
    derived_seed,
    seeded,
)
from ancestral.data import Conditioned, Source, as_source
from ancestral.estimator.compressing import Compressing
from ancestral.estimator.contexts import as_contexts, check_conditional, check_given
from ancestral.estimator.detecting import Detecting
from ancestral.estimator.drawing import Sampler, sampling_method
from ancestral.estimator.embedding import Embedding
from ancestral.estimator.imputing import Imputing
from ancestral.estimator.preparing import hold_out, initialize
from ancestral.estimator.purifying import Purifying
from ancestral.estimator.recipe import Assembly, Recipe
from ancestral.estimator.runs import RunConfig, load_weights, prepare_folder, save_weights
from ancestral.estimator.solve import solve
from ancestral.inference.evidence import EvidenceMethod, default_method
from ancestral.inference.objectives import ClosedForm, Objective
from ancestral.inference.posteriors import Posterior
from ancestral.models import Drawn, SamplingMethod, Truncation
from ancestral.training import History, MetricsWriter, Outcome, Reporter, TrainingConfig

if TYPE_CHECKING:
    from sklearn.utils import Tags

__all__ = ["DensityEstimator"]

_WEIGHTS, _SAMPLES = 11, 13  # streams of derived seeds
_ROWS = 500  # rows that are scored at once


class DensityEstimator(Detecting, Embedding, Imputing, Purifying, Compressing):
    """A model, how it is trained, and what can be asked of it afterwards.

    Each method is one call into a lower layer. `build` makes estimators from recipes; the
    constructor only stores, as scikit-learn asks.

    Args:
        recipe: how parts are assembled once the data are known.
        spec: what the data are; None infers it from the data given to `fit`.
        options: of the recipe and of training, by name.
        device: where to compute; None: CUDA if there is one.

    Attributes:
        spec_: what the data are.
        options_: of the recipe, all of them; what follows from the size of the data has values.
        model_: p, a fitted module.
        posterior_: q, or None.
        objective_: what was minimised.
        history_: one record for each epoch.
        outcome_: how training ended.

    Example:
        >>> import ancestral
        >>> data = ancestral.load_dataset("digits", kind="real")  # dequantised
        >>> model = ancestral.build("ppca", latent_size=5).fit(data.train)
        >>> model.score_samples(data.test).kind
        'lower_bound'
    """

    def __init__(
        self,
        recipe: Recipe,
        spec: Specification | None = None,
        options: Mapping[str, Any] | None = None,
        device: str | None = None,
    ) -> None:
        self.recipe = recipe
        self.spec = spec
        self.options = options
        self.device = device

    # ------------------------------------------------------------------ fitting

    def fit(
        self,
        X: Any,
        y: None = None,
        *,
        validation: Any = None,
        folder: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        reporter: Reporter | None = None,
        writers: tuple[MetricsWriter, ...] = (),
        provenance: Mapping[str, Any] | None = None,
    ) -> DensityEstimator:
        """Assemble the parts for some data and train them.

        Args:
            X: a `Source`, or [rows, *shape] array, tensor or DataFrame; NaN where cells are
                missing.
            y: ignored.
            validation: rows for early stopping; None holds out a tenth of X, if X has at least
                200 rows and is not fitted at once, and else trains to the last epoch.
            folder: of the run, for checkpoints, metrics and the result; None keeps nothing.
            resume: go on from the folder's checkpoint.
            overwrite: start anew in a folder that holds a run.
            reporter: shows progress.
            writers: get each epoch's record too.
            provenance: where the data came from, kept in the run's configuration.
        """
        del y
        own, config = self.recipe.split_options(self.options or {})
        whole = source = as_source(X, self.spec)
        check_given(source, source.spec)
        held_out = None if validation is None else as_source(validation, source.spec)
        if held_out is not None:
            check_given(held_out, source.spec)
        elif len(source) >= 200:
            source, held_out = hold_out(source, config.seed)
        device = torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.spec_ = source.spec
        self.n_features_in_ = source.spec.num_dims
        parts = self._assembled(own, source, config.seed)
        if validation is None and isinstance(parts.objective, ClosedForm):
            # there is no training to stop
            source, held_out = whole, None
            parts = self._assembled(own, source, config.seed)
        self.held_out_ = held_out
        parts.objective.check(parts.model, parts.posterior)
        check_conditional(parts.model, source.spec)
        initialize(parts, source, config.seed)
        run = Path(folder) if folder is not None else None
        if run is not None:
            prepare_folder(run, resume=resume, overwrite=overwrite)
            asked = self._run_config(source.spec, config, provenance)
            if resume and (run / "config.json").exists():
                RunConfig.load(run).refuse_other(asked)  # and stays until training is over
            else:
                asked.save(run)
        self._adopt(parts, device)
        self.outcome_ = solve(
            parts,
            source.to(device),
            None if held_out is None else held_out.to(device),
            config,
            folder=run,
            reporter=reporter,
            writers=writers,
        )
        self.training_ = config
        if run is not None:
            self._run_config(source.spec, config, provenance).save(run)
            save_weights(self._modules(), run)
        return self

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the fitted estimator into a folder: JSON and safetensors, no pickle."""
        self._require_fitted()
        run = Path(folder)
        prepare_folder(run, resume=False, overwrite=overwrite)
        self._run_config(self.spec_, self.training_, None).save(run)
        save_weights(self._modules(), run)
        self.history_.save(run / "metrics.jsonl")

    @staticmethod
    def load(folder: str | Path, recipe: Recipe, device: str | None = None) -> DensityEstimator:
        """Read what `save` or `fit(folder=...)` wrote.

        Args:
            folder: of the run.
            recipe: the one that its configuration names.
            device: where to compute.
        """
        run = Path(folder)
        config = RunConfig.load(run)
        config.refuse_unknown_options(recipe.options)
        options = {**config.options, **config.training.to_dict()}
        estimator = DensityEstimator(recipe, config.spec, options, device)
        parts = recipe.build(config.spec, config.options)
        load_weights({"model": parts.model, "posterior": parts.posterior}, run)
        estimator.spec_ = config.spec
        estimator.options_ = dict(config.options)
        estimator.n_features_in_ = config.spec.num_dims
        estimator.training_ = config.training
        estimator._adopt(
            parts, torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        )
        history = History.load(run / "metrics.jsonl")
        estimator.outcome_ = Outcome(history, "loaded", 0, 0.0, 0)
        return estimator

    # ------------------------------------------------------------------ what can be asked

    def score_samples(
        self, X: Any, method: EvidenceMethod | None = None, *, context: Any = None
    ) -> Estimate:
        """Log p(x) of each row, in nats of the data as given; the `Estimate` says of what kind.

        Args:
            X: rows.
            method: how; None: exact where the model is, else 1,000 importance samples.
            context: [rows, size] for a conditional model, if X is an array.
        """
        source = self._source(X, context)
        how = method or default_method(self.model_)
        estimate = how(self.model_, self.posterior_, source.ordered(_ROWS))
        if estimate.kind == "exact":
            return dataclasses.replace(estimate, kind=source.log_prob_kind)
        return estimate

    def score(self, X: Any, y: None = None) -> float:
        """Mean of `score_samples`, nats per datum (higher is better)."""
        del y
        return self.score_samples(X).mean

    def sample(
        self,
        n_samples: int = 1,
        seed: int = 0,
        *,
        context: Any = None,
        method: SamplingMethod = SamplingMethod.AUTO,
        truncation: Truncation | None = None,
    ) -> np.ndarray:
        """Ancestral samples, [n_samples, *shape].

        Args:
            n_samples: how many.
            seed: decides them.
            context: [n_samples, size], or [size] for all, for a conditional model.
            method: of autoregressive models; it decides how fast, not what.
            truncation: temperature, top-k and top-p of autoregressive models; what they draw is
                not distributed as the model says.
        """
        drawn = self.draw(n_samples, seed, context=context, method=method, truncation=truncation)
        return drawn.x.numpy()

    def draw(
        self,
        n_samples: int = 1,
        seed: int = 0,
        *,
        context: Any = None,
        method: SamplingMethod = SamplingMethod.AUTO,
        truncation: Truncation | None = None,
    ) -> Drawn:
        """Samples as `sample` gives them, in a tensor, and how many passes they took."""
        self._require_fitted()
        if n_samples < 1:
            raise OptionError(f"expected at least 1 sample, got {n_samples}")
        given = as_contexts(context, n_samples, len(self.spec_.context), self._device)
        sampler = Sampler(self.model_, sampling_method(method), truncation)
        with seeded(derived_seed(seed, _SAMPLES)), torch.no_grad():
            return sampler(n_samples, given)

    # ------------------------------------------------------------------ scikit-learn's protocol

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002
        """The constructor's arguments."""
        del deep
        names = ("recipe", "spec", "options", "device")
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> DensityEstimator:
        """Set constructor arguments."""
        for name, value in params.items():
            if name not in self.get_params():
                raise ValueError(f"unknown parameter {name!r} of DensityEstimator")
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Tags:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="density_estimator",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            input_tags=InputTags(allow_nan=True),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __repr__(self) -> str:
        options = "".join(f", {k}={v!r}" for k, v in (self.options or {}).items())
        return f"DensityEstimator({self.recipe.name!r}{options})"

    # ------------------------------------------------------------------ inside

    @property
    def history_(self) -> History:
        """One record for each epoch."""
        self._require_fitted()
        return self.outcome_.history

    @property
    def _device(self) -> torch.device:
        return next(self.model_.parameters()).device

    def _assembled(self, own: Mapping[str, Any], source: Source, seed: int) -> Assembly:
        """Parts for some rows, with fresh weights."""
        self.options_ = self.recipe.resolved(own, source.spec, len(source))
        with seeded(derived_seed(seed, _WEIGHTS)):
            return self.recipe.build(source.spec, self.options_)

    def _adopt(self, parts: Assembly, device: torch.device) -> None:
        self.model_: nn.Module = parts.model.to(device).eval()
        self.posterior_: Posterior | None = (
            None if parts.posterior is None else parts.posterior.to(device).eval()
        )
        self.objective_: Objective = parts.objective

    def _run_config(
        self,
        spec: Specification,
        training: TrainingConfig,
        provenance: Mapping[str, Any] | None,
    ) -> RunConfig:
        from ancestral import __version__

        name, data = self.recipe.name, dict(provenance or {})
        return RunConfig(name, self.options_, spec, training, data, __version__)

    def _modules(self) -> dict[str, nn.Module | None]:
        return {"model": self.model_, "posterior": self.posterior_}

    def _source(self, X: Any, context: Any = None) -> Source:
        self._require_fitted()
        return self._given(as_source(X, self.spec_), context)

    def _given(self, source: Source, context: Any) -> Source:
        if context is not None:
            given = as_contexts(context, len(source), len(self.spec_.context), torch.device("cpu"))
            assert given is not None
            source = Conditioned(source, given, self.spec_.context)
        check_given(source, self.spec_)
        return source.to(self._device)

    def _require_fitted(self) -> None:
        if not hasattr(self, "model_"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(f"{self!r} is not fitted yet\n\nhint: call `fit` first")
