"""One job: what is trained, what is only observed, and what an error of one model does."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.auditing.small_models import answers_of, bayes, centroids, failing, plain_loop, plan_of, torch_recipe

from vestige.auditing.shadows.job import Task, Trained, train_and_observe
from vestige.auditing.shadows.plan import ShadowPlan
from vestige.training.function_recipe import FunctionRecipe
from vestige.training.strategies import Strategy


def shared_of(plan: ShadowPlan) -> ShadowPlan:
    return replace(plan, member=plan.member[:0], groups=[])


def task_of(
    plan: ShadowPlan, wanted: tuple[int, ...], models: tuple[int, ...], stored: Mapping[int, Mapping[str, bytes]]
) -> Task:
    bits = np.packbits(plan.member[list(models)], axis=1)
    return Task(wanted=wanted, stored=stored, models=models, member=bits, seeds=tuple(map(plan.seed_of, models)))


def by_number(done: list[Trained]) -> dict[int, Trained]:
    assert len({t.model for t in done}) == len(done)
    return {t.model: t for t in done}


def test_only_what_is_wanted_is_told_of_though_the_whole_stack_is_trained():
    plan = plan_of(torch_recipe(), 4, strategy=Strategy(stack=4))
    whole = by_number(train_and_observe(shared_of(plan), task_of(plan, (0, 1, 2, 3), (0, 1, 2, 3), {})))
    one = by_number(train_and_observe(shared_of(plan), task_of(plan, (2,), (0, 1, 2, 3), {})))
    assert list(one) == [2]
    np.testing.assert_array_equal(one[2].rows[0]["logits"], whole[2].rows[0]["logits"])
    assert one[2].files == whole[2].files


def test_what_is_stored_is_observed_and_not_trained():
    plan = plan_of(FunctionRecipe(bayes), 4)
    models = plain_loop(plan)
    stored = {1: plan.recipe.dump(models[1]), 3: plan.recipe.dump(models[3])}
    never = replace(plan, recipe=FunctionRecipe(failing, parameters={"seeds": [plan.seed_of(1), plan.seed_of(3)]}))
    done = by_number(train_and_observe(shared_of(never), task_of(plan, (1, 2, 3), (2,), stored)))
    assert sorted(done) == [1, 2, 3]
    for i, trained in done.items():
        assert not trained.error
        assert (trained.files is None) == (i in stored)
        assert (trained.seconds == 0) == (i in stored)
        np.testing.assert_array_equal(trained.rows[0]["probabilities"], answers_of(models[i], plan.records.inputs))


def test_what_is_stored_and_cannot_be_loaded_is_an_error_of_that_model_alone():
    plan = plan_of(FunctionRecipe(bayes), 2)
    stored = {0: {"model.json": b"{}", "estimator.skops": b"no"}, 1: plan.recipe.dump(plain_loop(plan)[1])}
    done = by_number(train_and_observe(shared_of(plan), task_of(plan, (0, 1), (), stored)))
    assert done[0].error.startswith("Expected a stored estimator, found a damaged file")
    assert (done[0].rows, done[1].error) == ((), "")


def test_a_model_that_no_file_can_hold_is_used_and_not_kept():
    plan = plan_of(FunctionRecipe(centroids), 2)
    (trained,) = train_and_observe(shared_of(plan), task_of(plan, (0,), (0,), {}))
    assert (trained.files, trained.error) == (None, "")
    np.testing.assert_array_equal(
        trained.rows[0]["probabilities"], answers_of(plain_loop(plan)[0], plan.records.inputs)
    )


def returned(inputs: Any, labels: Any, *, seed: int, what: str) -> Any:
    width = {"wide": 5, "narrow": 2}.get(what, 3)
    if what == "no function":
        return 3
    value = {"nan": np.nan, "unnormalised": 0.9}.get(what, 1 / width)

    def answer(asked: Any) -> Any:
        if what == "raises":
            raise ZeroDivisionError("by zero")
        return np.full((len(asked) - (what == "short"), width), value)

    return answer


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no function", "Expected returned to return a model, found int"),
        ("wide", r"Expected probabilities of shape (60, 3), a row per record and a column per class, found (60, 5)"),
        (
            "narrow",
            "found (60, 2); give the model as many outputs as there are classes, or, if the labels count from 1,",
        ),
        ("short", "found (59, 3)"),
        ("nan", "Expected finite probabilities, found NaN or infinity, first for record 1."),
        (
            "unnormalised",
            "Expected probabilities that sum to 1, found a sum of 2.7 for record 1; declare",
        ),
        ("raises", "ZeroDivisionError: by zero"),
    ],
)
def test_a_model_that_answers_nonsense_is_an_error_of_its_own(what, message):
    plan = plan_of(FunctionRecipe(returned, parameters={"what": what}), 2)
    (trained,) = train_and_observe(shared_of(plan), task_of(plan, (0,), (0,), {}))
    assert message in trained.error
    assert (trained.rows, trained.files) == ((), None)


def test_membership_travels_as_bits():
    plan = plan_of(FunctionRecipe(bayes), 4)
    assert task_of(plan, (0,), (0,), {}).member.nbytes == 8  # of 60 records
