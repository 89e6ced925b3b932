"""The plan of shadow models: what each model is, and how a run keeps it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.auditing.small_models import bayes, plan_of, table, torch_recipe

from vestige.auditing.shadows.plan import ShadowPlan, planned
from vestige.core.errors import OutputError, RunFolderError
from vestige.training.function_recipe import FunctionRecipe
from vestige.training.model_key import key_of
from vestige.training.strategies import Strategy

STACKS = Strategy(stack=4)


def planner(**changes: Any) -> Callable[[Strategy, list[list[int]] | None], ShadowPlan]:
    def plan(strategy: Strategy, groups: list[list[int]] | None) -> ShadowPlan:
        made = plan_of(torch_recipe(), 8, **{"strategy": strategy, **changes})
        return made if groups is None else replace(made, groups=groups)

    return plan


def never() -> Strategy:
    raise AssertionError


def test_a_model_is_decided_by_its_number_alone_however_many_there_are():
    few, many = plan_of(FunctionRecipe(bayes), 4), plan_of(FunctionRecipe(bayes), 16)
    keys = [key_of(many.model_key(i)) for i in range(16)]
    assert [key_of(few.model_key(i)) for i in range(4)] == keys[:4]
    assert len(set(keys)) == 16
    assert len({many.seed_of(i) for i in range(16)}) == 16


def test_rows_of_the_store_are_the_checkpoints_and_the_end_of_each_model():
    plan = plan_of(torch_recipe(epochs=3), 2, checkpoints=(1, 3))
    assert [list(plan.rows_of(i)) for i in (0, 1)] == [[0, 1, 2], [3, 4, 5]]
    assert plan.table().epoch.tolist() == [1, 3, 0, 1, 3, 0]


def test_the_plan_is_for_its_owner_alone(tmp_path):
    """Its seed draws the training sets."""
    planned(tmp_path, planner(), lambda: STACKS)
    assert (tmp_path / "shadows.json").stat().st_mode & 0o077 == 0


def test_strategy_and_groups_are_kept_and_not_chosen_again(tmp_path):
    first = planned(tmp_path / "run", planner(), lambda: STACKS)
    assert (first.strategy, first.groups) == (STACKS, [[0, 1, 2, 3], [4, 5, 6, 7]])
    again = planned(tmp_path / "run", planner(), never)
    assert (again.strategy, again.groups) == (first.strategy, first.groups)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["shadows.json"]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"records": table(seed=1)}, "data"),
        ({"seed": 1}, "member"),
        ({"checkpoints": (1,)}, "checkpoints, found [] there and [1] here"),
        ({"gradient_norms": True}, "gradient_norms, found false there and true here"),
    ],
)
def test_another_plan_is_refused_with_both_sides_named(changes, name, tmp_path):
    planned(tmp_path / "run", planner(), lambda: STACKS)
    with pytest.raises(RunFolderError) as refused:
        planned(tmp_path / "run", planner(**changes), never)
    assert f"Expected run to hold shadow models of the same {name}" in str(refused.value)
    assert "there and" in str(refused.value)


def test_another_number_of_models_or_recipe_is_refused_with_both_sides_named(tmp_path):
    planned(tmp_path / "run", planner(), lambda: STACKS)
    with pytest.raises(RunFolderError, match="of the same n_asked, found 8 there and 16 here; name another folder"):
        planned(tmp_path / "run", lambda s, g: replace(planner()(s, g), n_asked=16), never)
    with pytest.raises(RunFolderError, match=r"of the same recipe, found .* \(\w{8}\) there and .* \(\w{8}\) here"):
        planned(tmp_path / "run", lambda s, g: replace(planner()(s, g), recipe=torch_recipe(epochs=3)), never)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "null",
        lambda text: "{}",
        lambda text: text.replace('"threads": 1', '"threads": 7'),
        lambda text: text.replace("   3\n", "   5\n"),
        lambda text: text.replace('"seed": 0', '"seed": 1'),
        lambda text: json.dumps({**json.loads(text), "more": 1}),
        lambda text: "\x00" * len(text),
    ],
)
def test_a_damaged_plan_is_refused(damage, tmp_path):
    planned(tmp_path / "run", planner(), lambda: STACKS)
    file = tmp_path / "run" / "shadows.json"
    damaged = damage(file.read_text())
    assert damaged != file.read_text()
    file.write_text(damaged)
    with pytest.raises(
        RunFolderError, match=r"Expected the plan of shadow models in shadows.json, found it damaged; r"
    ):
        planned(tmp_path / "run", planner(), never)


def test_what_a_kill_left_of_a_plan_is_in_nobodys_way(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "shadows.partial").write_text('{"format": 1, "stra')
    planned(tmp_path / "run", planner(), lambda: STACKS)
    planned(tmp_path / "run", planner(), never)


def test_a_place_that_cannot_be_written_is_an_error_of_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="run: Expected to write the plan of shadow models, found: not a directory"):
        planned(tmp_path / "file" / "run", planner(), lambda: STACKS)
