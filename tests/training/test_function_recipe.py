"""A user's own function trains models: found by name, called with what it wants, and its failures are its own."""

import functools
import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from tests.training.estimators import ARRAY, CODES, NUMBERS, fit_user_pipeline
from torch import nn

from vestige.core.errors import InputError, TrainingError, UnsupportedModelError
from vestige.core.recipe import Model, Recipe
from vestige.training.function_recipe import FunctionRecipe
from vestige.training.identity import is_reusable


def forest(inputs, labels, *, seed, C=1.0):
    return LogisticRegression(C=C, random_state=seed).fit(inputs, labels)


def centroids(inputs, labels, *, seed):
    means = np.array([inputs[labels == k].mean(axis=0) for k in range(3)])

    def answer(x):
        distances = np.linalg.norm(x[:, None] - means, axis=2)
        weights = np.exp(-distances)
        return weights / weights.sum(axis=1, keepdims=True)

    return answer


def network(inputs, labels, *, seed):
    torch.manual_seed(seed)
    return nn.Linear(inputs.shape[1], 3).eval()


def test_a_function_by_itself_and_by_its_name():
    by_function, by_name = FunctionRecipe(forest), FunctionRecipe("tests.training.test_function_recipe:forest")
    assert isinstance(by_function, Recipe)
    assert by_function.identity()["function"]["name"] == by_name.identity()["function"]["name"]
    models = [recipe.fit(ARRAY, seed=3) for recipe in (by_function, by_name)]
    expected = LogisticRegression().fit(NUMBERS, CODES).predict_proba(NUMBERS)
    for model in models:
        assert (model.n_classes, model.seed, model.classifier.random_state) == (3, 3, 3)
        np.testing.assert_array_equal(model.classifier.predict_proba(NUMBERS), expected)


def test_parameters_are_handed_on():
    model = FunctionRecipe(forest, parameters={"C": 0.1}).fit(ARRAY, seed=0)
    assert model.classifier.C == 0.1


def test_labels_are_codes_and_inputs_are_as_they_are():
    def seen(inputs, labels, *, seed):
        assert inputs is ARRAY.inputs
        assert labels.tolist() == CODES.tolist()
        return GaussianNB().fit(inputs, labels)

    assert FunctionRecipe(seen).fit(ARRAY, seed=0).n_classes == 3


@pytest.mark.parametrize(("function", "kind"), [(network, nn.Module), (centroids, type(lambda: 0))])
def test_a_model_may_be_a_network_or_a_function(function, kind):
    recipe = FunctionRecipe(function)
    model = recipe.fit(ARRAY, seed=0)
    assert isinstance(model.classifier, kind)
    with pytest.raises(UnsupportedModelError, match=f"without a pickle, found {type(model.classifier).__name__}; it"):
        recipe.dump(model)


def test_a_model_that_follows_scikit_learn_is_kept():
    recipe = FunctionRecipe(forest)
    model = recipe.fit(ARRAY, seed=2)
    again = recipe.load(recipe.dump(model))
    assert (again.seed, again.n_classes) == (2, 3)
    np.testing.assert_array_equal(again.classifier.predict_proba(NUMBERS), model.classifier.predict_proba(NUMBERS))


def test_a_model_of_the_user_s_own_parts_is_kept():
    recipe = FunctionRecipe("tests.training.estimators:fit_user_pipeline")
    model = recipe.fit(ARRAY, seed=2)
    again = recipe.load(recipe.dump(model))
    np.testing.assert_array_equal(again.classifier.predict_proba(NUMBERS), model.classifier.predict_proba(NUMBERS))
    assert again.classifier[-1].helper_.numbers.tolist() == [0, 1, 2]


def fails(inputs, labels, *, seed):
    raise RuntimeError("out of\nluck")


def gives_nothing(inputs, labels, *, seed):
    return None


def takes_no_seed(inputs, labels, C=1.0):
    return None


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (fails, "Expected fails to train on 90 records, found RuntimeError: out of luck"),
        (gives_nothing, "Expected gives_nothing to return a model, found NoneType; return a scikit-learn estimator"),
        (takes_no_seed, "found TypeError: .*unexpected keyword argument 'seed'"),
        (functools.partial(takes_no_seed, C=0.5), "Expected partial to train.*unexpected keyword argument"),
    ],
)
def test_failures_are_reported_in_one_line(function, said):
    with pytest.raises(TrainingError, match=said) as caught:
        FunctionRecipe(function).fit(ARRAY, seed=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("forest", "Expected module:function, such as clinic.training:fit, found 'forest'"),
        ("tests.training.test_function_recipe:nothing", "Expected nothing in tests.training.test_function_recipe"),
        ("tests.training.nowhere:fit", "Expected a module tests.training.nowhere, found none"),
        ("tests.training.test_function_recipe:np.pi", "Expected a function"),
    ],
)
def test_what_is_no_function_is_refused(function, said):
    with pytest.raises(InputError, match=said):
        FunctionRecipe(function)


def test_options_it_does_not_have_are_refused():
    for options in ({"start": Model(None, 3, seed=0)}, {"validation": ARRAY}, {"checkpoints": (1,)}):
        with pytest.raises(InputError, match=f"Expected no {next(iter(options))} with a function that trains"):
            FunctionRecipe(forest).fit(ARRAY, seed=0, **options)
    with pytest.raises(InputError, match="Expected no device"):
        FunctionRecipe(forest).fit(ARRAY, seed=0, device="cuda:0")


def test_identity_tells_function_parameters_and_version():
    recipes = [
        FunctionRecipe(forest),
        FunctionRecipe(centroids),
        FunctionRecipe(fit_user_pipeline),
        FunctionRecipe(forest, parameters={"C": 1.0}),
        FunctionRecipe(forest, parameters={"C": 2.0}),
        FunctionRecipe(forest, version="2"),
        FunctionRecipe(functools.partial(forest, C=2.0)),
    ]
    texts = [json.dumps(recipe.identity(), sort_keys=True) for recipe in recipes]
    assert len(set(texts)) == len(texts)
    assert all(is_reusable(recipe.identity()) for recipe in recipes)
    assert not is_reusable(FunctionRecipe(lambda inputs, labels, *, seed: None).identity())
    assert not is_reusable(FunctionRecipe(forest, parameters={"C": lambda: 1}).identity())
