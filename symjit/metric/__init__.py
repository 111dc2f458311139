"""Metrics: numbers that tell how well predictions fit labels. Source: MXNet ``mx.metric``.

The metrics of this module add up on the device: `EvalMetric.update` transfers nothing to the host and does not wait,
`EvalMetric.get` reads. What a metric adds is a pure function too (`EvalMetric.accumulation`), which a compiled training
step calls inside its own program.
"""

from __future__ import annotations

from symjit.metric.base import Accumulation as Accumulation
from symjit.metric.base import EvalMetric as EvalMetric
from symjit.metric.base import alias as alias
from symjit.metric.base import check_label_shapes as check_label_shapes
from symjit.metric.base import register as register
from symjit.metric.classification import F1 as F1
from symjit.metric.classification import MCC as MCC
from symjit.metric.classification import Accuracy as Accuracy
from symjit.metric.classification import TopKAccuracy as TopKAccuracy
from symjit.metric.composite import CompositeEvalMetric as CompositeEvalMetric
from symjit.metric.composite import create as create
from symjit.metric.correlation import PCC as PCC
from symjit.metric.correlation import PearsonCorrelation as PearsonCorrelation
from symjit.metric.custom import CustomMetric as CustomMetric
from symjit.metric.custom import np as np
from symjit.metric.device import DeviceMetric as DeviceMetric
from symjit.metric.likelihood import CrossEntropy as CrossEntropy
from symjit.metric.likelihood import NegativeLogLikelihood as NegativeLogLikelihood
from symjit.metric.likelihood import Perplexity as Perplexity
from symjit.metric.regression import MAE as MAE
from symjit.metric.regression import MSE as MSE
from symjit.metric.regression import RMSE as RMSE
from symjit.metric.regression import Caffe as Caffe
from symjit.metric.regression import Loss as Loss
from symjit.metric.regression import Torch as Torch
