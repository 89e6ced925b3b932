"""One door to any classifier, which imports no framework that is not there already."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from torch import nn

from vestige.core.errors import InputError, UnsupportedModelError
from vestige.targets.objects.estimator import EstimatorTarget, LabelEstimatorTarget, MarginTarget
from vestige.targets.objects.function import FunctionTarget
from vestige.targets.objects.torch_module import TorchTarget
from vestige.targets.opening import open_target


class Both(nn.Module):
    """A module with probabilities of its own, as some wrappers have."""

    def forward(self, inputs):
        return inputs

    def predict_proba(self, inputs):
        return torch.softmax(inputs, dim=1)


class Labels:
    classes_ = np.array([0, 1])

    def predict(self, inputs):
        return np.zeros(len(inputs), dtype=int)


class Answers:
    def __call__(self, inputs):
        return [[0.5, 0.5]] * len(inputs)


@pytest.mark.parametrize(
    ("classifier", "kind"),
    [
        (nn.Linear(2, 2), TorchTarget),
        (Both(), TorchTarget),
        (GaussianNB().fit(np.eye(2), [0, 1]), EstimatorTarget),
        (RidgeClassifier().fit(np.eye(2), [0, 1]), MarginTarget),
        (Labels(), LabelEstimatorTarget),
        (Answers(), FunctionTarget),
        (lambda inputs: [[0.5, 0.5]] * len(inputs), FunctionTarget),
    ],
)
def test_every_kind_has_its_target(classifier, kind):
    target = open_target(classifier, 2)
    assert type(target) is kind
    assert target.n_classes == 2
    assert target.answers(3 * np.eye(2, dtype=np.float32)).n_records == 2


def test_class_names_reach_the_estimator():
    target = open_target(GaussianNB().fit(np.eye(2), ["b", "a"]), 2, ("b", "a"))
    assert isinstance(target, EstimatorTarget)
    assert target.columns == [1, 0]


@pytest.mark.parametrize("classifier", [None, np.eye(2), GaussianNB, nn.Linear, RidgeClassifier])
def test_anything_else_is_refused(classifier):
    with pytest.raises(UnsupportedModelError, match=f"found {type(classifier).__name__}; wrap it in such a function"):
        open_target(classifier, 2)


def test_an_estimator_is_opened_without_torch():
    code = (
        "import sys, numpy as np; from sklearn.naive_bayes import GaussianNB\n"
        "from vestige.targets.opening import open_target\n"
        "open_target(GaussianNB().fit(np.eye(2), [0, 1]), 2).answers(np.eye(2))\n"
        "print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize("classifier", ["model.pkl", Path("model.onnx"), "https://host/v2/models/clinic"])
def test_where_a_model_is_says_nothing_of_how_to_ask_it(classifier):
    with pytest.raises(UnsupportedModelError, match=r"give vestige\.ModelFile\(path\) for a file, vestige\.Endpoint"):
        open_target(classifier, 2)


def test_a_booster_that_is_not_trained_is_refused():
    xgboost = pytest.importorskip("xgboost")
    with pytest.raises(InputError, match="Expected a trained booster in the given Booster, found: "):
        open_target(xgboost.Booster(), 2)
