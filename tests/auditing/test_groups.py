"""Models whose training sets were drawn together, for shares of 1/2 and 5/6: without a leak nothing tells anything."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from tests.auditing.references.test_scores import Kept, auc, target_of, two_logits
from tests.auditing.small_models import plan_of, table

from vestige import ShadowTraining, audit
from vestige.auditing.references.phi import left_without
from vestige.auditing.references.scores import ReferenceScores, score_with
from vestige.auditing.results.every_target import effects_of_references, spread_of, values_of_targets
from vestige.auditing.selection import select
from vestige.auditing.shadows.answers import references_of
from vestige.auditing.shadows.checks import checks_of_training
from vestige.auditing.shadows.training import Shadows, train_shadows
from vestige.auditing.trained_models import design
from vestige.core.errors import InputError, RunFolderError
from vestige.core.options import SubjectScore
from vestige.core.outputs import Phi
from vestige.core.progress import silent
from vestige.core.recipe import Recipe
from vestige.core.references import References
from vestige.core.result import AuditResult, Check, Validity
from vestige.data.predictions.references import read_references
from vestige.data.sets.designs import fixed_size_subsets
from vestige.training.bank import Bank
from vestige.training.function_recipe import FunctionRecipe
from vestige.training.sklearn_recipe import SklearnRecipe

N = 60
HALF, FIVE_SIXTHS = Fraction(1, 2), Fraction(5, 6)
SHARES = [HALF, FIVE_SIXTHS]


def counting_in_models(phi: np.ndarray, shadow_phi: np.ndarray, is_in: np.ndarray) -> np.ndarray:
    "How many models were trained on a record: what a design must not let tell anything."
    return np.asarray(is_in.sum(axis=0), dtype=float)


ATTACKS = select(["all", counting_in_models]).attacks


def drawn(rng: np.random.Generator, share: Fraction, leaks: Any, n_models: int = 18) -> References:
    """Phi of models that stand higher for their members by a step each."""
    member = design(n_models, table(N), int(rng.integers(2**31)), share)
    steps = np.broadcast_to(leaks, n_models)[:, None]
    phi = 2 * rng.normal(size=N) + rng.normal(size=(n_models, N)) + steps * member
    return References(Phi, phi, member, groups=np.arange(n_models) // share.denominator)


def scored(references: References, rng: np.random.Generator) -> ReferenceScores:
    return score_with(references, target_of(rng.normal(size=N), rng.permutation(N) < N // 2), ATTACKS)


def _nothing() -> dict[str, list[float]]:
    return {}


def at_chance(found: dict[str, list[float]]) -> None:
    assert {"lira_online", "lira_offline", "empirical_bayes_online", "counting_in_models"} <= set(found)
    assert set(found.pop("counting_in_models")) == {0.5}  # exactly
    for name, values in found.items():
        assert np.mean(values) == pytest.approx(0.5, abs=4 * np.std(values) / np.sqrt(len(values)) + 1e-12), name


@pytest.mark.parametrize("share", SHARES)
def test_a_model_that_knows_nothing_is_at_chance_among_others_that_leak(share):
    rng, found = np.random.default_rng(1), _nothing()
    for _ in range(25):
        references = drawn(rng, share, np.where(np.arange(18) == 0, 0.0, 2.0))
        scores = scored(references, rng)
        for name, values in scores.attacks.known_scores.items():
            found.setdefault(name, []).append(auc(values, references.member[0]))
    at_chance(found)


@pytest.mark.parametrize("share", SHARES)
def test_every_model_in_turn_is_at_chance_where_nothing_leaks(share):
    rng, found = np.random.default_rng(2), _nothing()
    for _ in range(4):
        values = values_of_targets(scored(drawn(rng, share, 0.0), rng), None, SubjectScore.MEAN, silent)
        for name in dict.fromkeys(v.attack for v in values):
            aucs = [v.value for v in values if (v.attack, v.metric) == (name, "auc")]
            found.setdefault(name, []).append(float(np.mean(aucs)))
    at_chance(found)


def test_without_its_group_a_model_of_five_sixths_is_told_by_counts():
    """Why a group is left out: the design is refused if only the model itself could be."""
    rng = np.random.default_rng(0)
    references = drawn(rng, FIVE_SIXTHS, 0.0)
    alone = scored(replace(references, groups=None), rng)
    others = left_without(alone.observed, 0)
    assert others.sum() == 17
    assert auc(-alone.observed.is_in[others].sum(axis=0).astype(float), references.member[0]) == 1.0
    assert values_of_targets(alone, None, SubjectScore.MEAN, silent) == ()


def test_those_drawn_together_count_as_one_draw_and_leak_is_seen():
    rng = np.random.default_rng(0)
    scores = scored(drawn(rng, FIVE_SIXTHS, 2.0, 24), rng)
    assert left_without(scores.observed, 7).tolist() == [i // 6 != 1 for i in range(24)]
    values = values_of_targets(scores, None, SubjectScore.MEAN, silent)
    spread = next(s for s in spread_of(values, scores.observed) if (s.attack, s.metric) == ("lira_online", "auc"))
    assert spread.n_targets == 24
    assert spread.mean > 0.8
    assert "scored without itself and the 5 models drawn with it" in scores.definitions["reference models"]


def test_what_is_said_of_pairs_changes_no_number():
    """References in pairs, and the same with their groups said."""
    rng = np.random.default_rng(0)
    references = drawn(rng, HALF, 1.0, 8)
    one, other = (scored(r, np.random.default_rng(5)) for r in (references, replace(references, groups=None)))
    for name, values in one.attacks.known_scores.items():
        np.testing.assert_array_equal(values, other.attacks.known_scores[name])
    both = [values_of_targets(s, None, SubjectScore.MEAN, silent) for s in (one, other)]
    assert both[0] == both[1]
    effects = [
        effects_of_references(s, None, SubjectScore.MEAN, v, silent) for s, v in zip((one, other), both, strict=True)
    ]
    assert effects[0] == effects[1]
    assert spread_of(both[0], one.observed, effects[0]) == spread_of(both[1], other.observed, effects[1])


# ------------------------------------------------------------------------------------- plans and stores


@pytest.mark.parametrize("share", ["5/6", 0.8333, 5 / 6, FIVE_SIXTHS])
def test_a_share_is_said_in_any_way(share):
    training = ShadowTraining("same", n_models=12, share=share)
    assert (training.fraction, training.group_size) == (FIVE_SIXTHS, 6)
    assert ShadowTraining("same").fraction == HALF


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_models": 16, "share": "5/6"}, "multiple of 6 shadow models for a share of 5/6, found 16.*take 18"),
        ({"n_models": 2, "share": "5/6"}, "found 2.*take 6"),
        ({"n_models": 7}, "even number of shadow models, 2 or more, found 7"),
        ({"share": 1.0}, "between 0 and 1 in parts of 20 or fewer, found 1.0"),
        ({"share": "many"}, "Expected a share such as"),
        ({"share": float("nan")}, "Expected a share such as"),
        ({"share": 0.9871}, "parts of 20 or fewer, found 0.9871"),
    ],
)
def test_what_is_no_share_is_refused(options, said):
    with pytest.raises(InputError, match=said):
        ShadowTraining("same", **options)


def named_check(checks: list[Check], name: str) -> Check:
    return next(check for check in checks if check.name == name)


def test_a_store_knows_which_models_were_drawn_together(tmp_path):
    from tests.auditing.small_models import bayes

    recipe: Recipe = FunctionRecipe(bayes)
    plan = replace(plan_of(recipe, 12), member=design(12, table(), 0, FIVE_SIXTHS), share=FIVE_SIXTHS)
    assert plan.as_text()["share"] == "5/6"
    shadows = train_shadows(plan, tmp_path / "run", Bank(tmp_path / "bank"))
    expected = [0] * 6 + [1] * 6
    assert references_of(shadows).groups.tolist() == expected
    assert read_references(tmp_path / "run").groups.tolist() == expected
    said = named_check(checks_of_training(shadows), "shadow_models").message
    assert said.startswith("12 shadow models on random 5/6 of the 60 audited records")


def test_groups_are_read_off_the_models_that_are_done():
    plan = replace(plan_of(SklearnRecipe(_bayes()), 12), share=FIVE_SIXTHS)
    done = np.arange(12) % 5 != 0
    phi = np.zeros((12, N))
    shadows = Shadows(plan=plan, store=Kept(two_logits(phi)), done=done, failures={}, n_trained=0, seconds=0.0)
    assert references_of(shadows).groups.tolist() == [i // 6 for i in range(12) if i % 5]


def _bayes() -> Any:
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB()


def test_an_audit_with_a_share_from_plan_to_report_and_again(tmp_path):
    members, nonmembers = (table(N, seed=seed, subjects=np.arange(N) // 2 + 100 * seed) for seed in (0, 1))
    model = _bayes().fit(members.inputs, members.labels)

    def played(share: str, n_models: int) -> AuditResult:
        training = ShadowTraining("same", n_models=n_models, share=share, bank=tmp_path / "bank")
        sides: dict[str, Any] = {"members": members, "nonmembers": nonmembers}
        return audit(model, **sides, adversary=training, run=tmp_path / "run", attacks=["loss", "lira_online"])

    first, again = played("5/6", 18), played("5/6", 18)
    np.testing.assert_array_equal(first.records["lira_online"], again.records["lira_online"])
    checks = {check.name: check for check in first.preflight.checks}
    assert "on random 5/6 of the 120 audited records" in checks["shadow_models"].message
    assert checks["reference_counts"].validity is Validity.VALID
    assert {s.n_targets for s in first.spread if s.attack == "lira_online"} == {18}
    with pytest.raises(RunFolderError, match='same share, found "5/6" there and none here'):
        played("1/2", 8)


def test_sets_that_are_drawn_alone_are_of_one_size_and_belong_to_no_group(tmp_path):
    members, nonmembers = (table(N, seed=seed, ids=np.arange(N) + 100 * seed) for seed in (0, 1))
    model = _bayes().fit(members.inputs, members.labels)
    training = ShadowTraining(
        SklearnRecipe(_bayes()), n_models=16, share="5/6", drawn_alone=True, bank=tmp_path / "bank"
    )
    assert training.group_size == 1
    found = audit(model, members, nonmembers, adversary=training, run=tmp_path / "run", attacks=["loss"])
    references = read_references(tmp_path / "run")
    np.testing.assert_array_equal(
        references.member, fixed_size_subsets(16, 2 * N, fraction=5 / 6, seed=0)
    )  # Carlini et al.'s design: every set of 5/6, each record in another number of models
    assert references.groups.tolist() == list(range(16))
    said = {check.name: check.message for check in found.preflight.checks}["shadow_models"]
    assert said.startswith("16 shadow models on random 5/6 of the 120 audited records, each drawn on its own: ")
    with pytest.raises(RunFolderError, match="same drawn_alone"):
        audit(
            model, members, nonmembers, run=tmp_path / "run", attacks=["loss"],
            adversary=ShadowTraining(SklearnRecipe(_bayes()), n_models=18, share="5/6", bank=tmp_path / "bank"),
        )  # fmt: skip


def test_sets_that_are_drawn_alone_tell_nothing_of_a_target_of_others():
    """Any number of models will do, and a score that counts IN models is at chance: the target is in no group."""
    found = _nothing()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        member = design(11, table(N), seed, alone=True)
        phi = 2 * rng.normal(size=N) + rng.normal(size=(11, N)) + 2 * member
        target = target_of(rng.normal(size=N), rng.permutation(N) < N // 2)
        scores = score_with(References(Phi, phi, member, groups=np.arange(11)), target, ATTACKS)
        assert scores.definitions["reference models"].endswith("scored without itself")
        for played in scores.attacks.played:
            found.setdefault(played.attack.name, []).append(auc(played.scores, target.member))
    assert {"lira_online", "counting_in_models"} <= set(found)
    for name, values in found.items():
        assert np.mean(values) == pytest.approx(0.5, abs=4 * np.std(values) / np.sqrt(len(values))), name
