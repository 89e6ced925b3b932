"""`check_defence` of recipes: ours keep the laws, and each law catches the fault that it is for."""

import functools
import threading
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from torch import nn

from vestige import Records, SklearnRecipe, TorchRecipe
from vestige.core.recipe import Model
from vestige.testing import BrokenLawError, check_defence
from vestige.training.adversarial_regularisation import AdversarialRegularisation
from vestige.training.defences import L2, ConfidencePenalty
from vestige.training.dp_sgd import DPSGD
from vestige.training.function_recipe import FunctionRecipe

NETWORK = TorchRecipe(functools.partial(nn.Linear, 6, 3), epochs=2, batch_size=30)


def records(n: int = 90) -> Records:
    rng = np.random.default_rng(3)
    return Records(rng.normal(size=(n, 6)).astype(np.float32), np.arange(n) % 3)


def fit(inputs: Any, labels: Any, *, seed: int, trees: int) -> Any:
    return RandomForestClassifier(trees, random_state=seed % 1000).fit(inputs, labels)


OURS: dict[str, tuple[Any, int]] = {
    "L2": (replace(NETWORK, defences=(L2(0.1), ConfidencePenalty(0.2))), 5),
    "DP-SGD": (replace(NETWORK, defences=(DPSGD(1.0, noise=1.0),)), 5),
    "regularised": (AdversarialRegularisation(NETWORK, records(60), strength=0.5), 1),
    "forest": (SklearnRecipe(RandomForestClassifier(5)), 0),
    "function": (FunctionRecipe(fit, parameters={"trees": 5}), 1),
}


@pytest.mark.parametrize("name", OURS)
def test_ours_keep_the_laws(name):
    recipe, n_least = OURS[name]
    report = check_defence(recipe)
    assert (report.defence, report.notes) == (type(recipe).__name__, ())
    assert report.n_settings >= n_least
    assert "keeps the laws: fits, answers, equal seeds" in str(report)


def test_a_training_without_chance_is_lawful_and_noted():
    [note] = check_defence(SklearnRecipe(LogisticRegression())).notes
    assert "does not depend on the seed" in note


def test_it_trains_on_records_that_are_given():
    images = Records(np.zeros((20, 8, 8, 1), dtype=np.uint8), np.arange(20) % 2)
    network = functools.partial(nn.Sequential, nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(BrokenLawError) as caught:
        check_defence(TorchRecipe(network, epochs=1))
    assert caught.value.law == "fits"
    chosen = TorchRecipe(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), epochs=1)
    assert check_defence(chosen, records=images).defence == "TorchRecipe"


def drawn(seed: int) -> Any:
    torch.manual_seed(seed)
    return nn.Linear(6, 3)


@dataclass(frozen=True)
class Broken:
    """A recipe that breaks a law."""

    law: str
    strength: float = 0.5
    calls: list[int] = field(default_factory=list)

    def fit(self, records: Records, *, seed: int, **options: Any) -> Model:
        self.calls.append(seed)
        if self.law == "fits":
            raise ValueError("no luck")
        if self.law == "records unchanged":
            records.labels[0] = 2
        network = drawn(len(self.calls) if self.law == "equal seeds" else 0 if self.law == "other seeds" else seed)
        if self.law == "answers":
            network = nn.Linear(6, 4)
        return Model(network, records.n_classes, seed=seed)

    def identity(self) -> dict[str, Any]:
        said: dict[str, Any] = {"law": self.law} if self.law == "settings" else {"strength": self.strength}
        return said | ({"calls": len(self.calls)} if self.law == "identity" else {})

    def dump(self, model: Model) -> dict[str, bytes]:
        return {}

    def load(self, files: Any) -> Model:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {"lock": threading.Lock()} if self.law == "sent" else dict(self.__dict__)


LAWS = ("fits", "answers", "equal seeds", "other seeds", "records unchanged", "identity", "settings", "sent")


@pytest.mark.parametrize("law", LAWS)
def test_each_law_catches_its_fault(law):
    assert check_defence(Broken("none")).laws == LAWS
    with pytest.raises(BrokenLawError) as caught:
        check_defence(Broken(law))
    assert caught.value.law == law
