"""Reference models as a setting of an audit: the same numbers as with references that were trained before it."""

import functools

import numpy as np
import pytest
import torch
from torch import nn

from vestige.auditing.audit import audit
from vestige.auditing.files.audit_file import audit_file_of
from vestige.auditing.querying.settings import Querying
from vestige.auditing.shadows.auxiliary_references import references_by_forgetting, references_from_models
from vestige.auditing.shadows.reference_training import Beginning, ReferenceTraining
from vestige.core.errors import InputError
from vestige.core.progress import silent
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.training.torch_recipe import TorchRecipe

ATTACKS = ["loss", "calibration_loss", "calibrated_modified_entropy"]


def some(first, n):
    rng = np.random.default_rng(first)
    inputs = rng.normal(size=(n, 3)).astype(np.float32)
    labels = (inputs[:, 0] + rng.normal(size=n) > 0).astype(int)
    labels[:2] = 0, 1
    return Records(inputs, labels, ids=np.arange(first, first + n))


def recipe(epochs, rate=0.5):
    descent = functools.partial(torch.optim.SGD, lr=rate)
    return TorchRecipe(functools.partial(nn.Linear, 3, 2), epochs=epochs, batch_size=10, optimiser=descent)


MEMBERS, NONMEMBERS, OWN, VALIDATION = some(0, 30), some(100, 30), some(200, 40), some(300, 20)


@pytest.fixture(scope="module")
def target():
    return recipe(20).fit(MEMBERS, seed=0).classifier


def test_by_forgetting_it_is_the_audit_with_references_that_are_given(target):
    training = ReferenceTraining(recipe=recipe(3), records=OWN, by="forgetting", n_models=2)
    found = audit(target, MEMBERS, NONMEMBERS, adversary=training, attacks=ATTACKS, progress=silent)
    given = references_by_forgetting(target, recipe(3), OWN, MEMBERS, NONMEMBERS, n_models=2)
    expected = audit(target, MEMBERS, NONMEMBERS, adversary=given, attacks=ATTACKS, progress=silent)
    for attack in ATTACKS:
        np.testing.assert_array_equal(found.records[attack], expected.records[attack])
    said = found.provenance.definitions["training of the references"]
    assert said.startswith("by forgetting")
    assert "epochs" in said
    assert "seconds" in said


def test_of_several_recipes_the_one_with_the_most_alike_accuracies_is_taken(target):
    """By a plain loop over them, in whatever order they are given."""
    recipes = [recipe(5, rate=50.0), recipe(1, rate=1e-6), recipe(3)]

    def right(model, records):
        return float((model(torch.from_numpy(records.inputs)).argmax(dim=1).numpy() == records.labels).mean())

    def far(one):
        model = one.fit(OWN, seed=0, start=Model(target, 2, seed=0)).classifier
        of_target = right(target, MEMBERS) - right(model, OWN), right(target, VALIDATION) - right(model, VALIDATION)
        return sum(map(abs, of_target))

    nearest = min(recipes, key=far)
    given = references_by_forgetting(target, nearest, OWN, MEMBERS, NONMEMBERS)
    for first, *others in (recipes, recipes[::-1]):
        training = ReferenceTraining(
            recipe=first, records=OWN, validation=VALIDATION, by=Beginning.FORGETTING, others=others
        )
        found = training.trained(
            target, (MEMBERS, NONMEMBERS), gradient_norms=False, views=None, seed=0, progress=silent
        )
        np.testing.assert_array_equal(next(found.models()), next(given.models()))


def test_models_that_are_there_are_asked_as_those_that_are_trained(target):
    given = references_by_forgetting(target, recipe(3), OWN, MEMBERS, NONMEMBERS, n_models=2, gradient_norms=True)
    found = references_from_models(given.classifiers, MEMBERS, NONMEMBERS, gradient_norms=True)
    np.testing.assert_array_equal(np.stack(list(found.models())), np.stack(list(given.models())))
    np.testing.assert_array_equal(found.gradient_norms, given.gradient_norms)
    with pytest.raises(InputError, match="at least 1 model"):
        references_from_models([], MEMBERS, NONMEMBERS)


def test_what_does_not_go_together_is_refused(target):
    with pytest.raises(InputError, match="validation records to choose"):
        ReferenceTraining(recipe=recipe(1), records=OWN, others=[recipe(2)])
    training = ReferenceTraining(recipe=recipe(1), records=OWN, by="forgetting")
    with pytest.raises(InputError, match="labels only"):
        audit(target, MEMBERS, NONMEMBERS, adversary=training, querying=Querying(access="label"), progress=silent)
    shared = ReferenceTraining(recipe=recipe(1), records=MEMBERS)
    with pytest.raises(InputError, match="auxiliary"):
        audit(target, MEMBERS, NONMEMBERS, adversary=shared, attacks=ATTACKS, progress=silent)


def test_an_audit_file_says_it(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from tests.auditing.shadows.test_reference_training import OWN, VALIDATION, recipe\n"
        "forgetting, slower = recipe(3), recipe(3, 0.1)\n"
    )
    said = {
        "target": {"model": "model.pt2"},
        "data": {"members": "a.csv", "nonmembers": "b.csv"},
        "references": {
            "train": "mine:forgetting", "records": "mine:OWN", "validation": "mine:VALIDATION", "by": "forgetting",
            "others": ["mine:slower"],
        },
    }  # fmt: skip
    file = audit_file_of(said, tmp_path, "audit.toml")
    training = file.reference_models(None)
    assert isinstance(training, ReferenceTraining)
    assert training.by is Beginning.FORGETTING
    assert len(training.others) == 1
    assert {"mine:forgetting", "mine:slower", "mine:OWN"} <= set(file.modules())
