"""Gradient estimators."""

from ancestral.inference.gradients.baseline_network import InputDependent, VarianceNormalization
from ancestral.inference.gradients.closed_form_entropy import PathwiseClosedFormEntropy
from ancestral.inference.gradients.concrete import Concrete, StraightThrough
from ancestral.inference.gradients.control_variates import (
    ArithmeticMean,
    ControlVariate,
    GeometricMean,
    LeaveOneOut,
    NoControlVariate,
    RunningMean,
)
from ancestral.inference.gradients.doubly_reparameterized import DoublyReparameterized
from ancestral.inference.gradients.enumerated import Enumerated
from ancestral.inference.gradients.estimator import GradientEstimator, KlPenalty, Surrogate
from ancestral.inference.gradients.muprop import MuProp
from ancestral.inference.gradients.pathwise import Pathwise, PathwiseClosedFormKl
from ancestral.inference.gradients.rebar import Rebar
from ancestral.inference.gradients.relax import Relax
from ancestral.inference.gradients.sampled_index import SampledIndex
from ancestral.inference.gradients.score_function import LayerSignals, ScoreFunction, WholeSignal
from ancestral.inference.gradients.stick_the_landing import StickTheLanding
from ancestral.inference.gradients.two_bounds import TwoBounds
from ancestral.inference.gradients.vimco import Vimco

__all__ = [
    "ArithmeticMean",
    "Concrete",
    "ControlVariate",
    "DoublyReparameterized",
    "Enumerated",
    "GeometricMean",
    "GradientEstimator",
    "InputDependent",
    "KlPenalty",
    "LayerSignals",
    "LeaveOneOut",
    "MuProp",
    "NoControlVariate",
    "Pathwise",
    "PathwiseClosedFormEntropy",
    "PathwiseClosedFormKl",
    "Rebar",
    "Relax",
    "RunningMean",
    "SampledIndex",
    "ScoreFunction",
    "StickTheLanding",
    "StraightThrough",
    "Surrogate",
    "TwoBounds",
    "VarianceNormalization",
    "Vimco",
    "WholeSignal",
]
