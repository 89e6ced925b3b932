"""Audits of models behind defences: what is asked, kept and recorded, and what the adversary's models answer."""

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from tests.auditing.planted import rows
from tests.auditing.small_models import plan_of

from vestige import Predictions, audit
from vestige.auditing.label_only import NoisyCopies
from vestige.auditing.querying.defended import Defended, KnowsDefence
from vestige.auditing.querying.settings import Querying
from vestige.auditing.run_folder import MANIFEST
from vestige.auditing.shadows.answers import defences_of, pooled_answers, references_of
from vestige.auditing.shadows.defending import behind
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.core.errors import InputError, RunFolderError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.records import Records
from vestige.core.references import References
from vestige.defences import LabelsOnly, MemGuard, Rounded, StrongestMemGuard, TopK
from vestige.signals.label_only.noise import NoiseStrength
from vestige.training.bank import Bank
from vestige.training.sklearn_recipe import SklearnRecipe

N, K = 60, 3


def noise(seed: int, n: int = N, first: int = 0) -> Records:
    """Records whose labels nothing tells."""
    rng = np.random.default_rng(seed)
    return Records(rng.normal(size=(n, 5)), np.arange(n) % K, ids=np.arange(first, first + n))


MEMBERS, NONMEMBERS, POOL, POOL_OF_SHADOWS = (noise(seed, first=N * seed) for seed in range(4))
FOREST = RandomForestClassifier(10, min_samples_leaf=3, random_state=0)
MODEL = RandomForestClassifier(10, min_samples_leaf=3, random_state=0).fit(MEMBERS.inputs, MEMBERS.labels)
SIDES: dict[str, Any] = {"members": MEMBERS, "nonmembers": NONMEMBERS}
CALLS: list[int] = []


def asked(inputs: Any) -> Any:
    CALLS.append(len(inputs))
    return MODEL.predict_proba(inputs)


def behind_top(inputs: Any) -> Any:
    return TopK(1)(Probabilities(MODEL.predict_proba(inputs))).whole()


def behind_rounded_labels(inputs: Any) -> Any:
    return PredictedLabels(Rounded(1)(Probabilities(MODEL.predict_proba(inputs))).whole().argmax(axis=1))


def numbers(result: Any) -> np.ndarray:
    return np.asarray(result.results[["value", "lower", "upper"]])


def training(tmp_path: Any, **more: Any) -> ShadowTraining:
    return ShadowTraining(SklearnRecipe(FOREST), 4, bank=tmp_path / "bank", **more)


def accuracy(result: Any, attack: str, threshold: str) -> float:
    found = rows(result, attack=attack, metric="balanced_accuracy", group="all", threshold=threshold)
    return float(found["value"].iloc[0])


# --------------------------------------------------------------------------------------------- the target


def test_a_defended_model_is_audited_as_the_function_that_answers_so():
    result = audit(asked, **SIDES, querying=Querying(defence=TopK(1)))
    np.testing.assert_array_equal(numbers(result), numbers(audit(behind_top, **SIDES)))
    assert set(result.results["defence"]) == {"top_k (k=1)"}
    assert "top_k (k=1); the adversary knows it" in str({c.name: c for c in result.preflight.checks}["defence"])


def test_a_table_of_raw_answers_is_defended_as_the_model_is():
    inputs = np.concatenate([MEMBERS.inputs, NONMEMBERS.inputs])
    table = Predictions(
        MODEL.predict_proba(inputs),
        labels=np.tile(MEMBERS.labels, 2),
        member=np.arange(2 * N) < N,
        ids=np.arange(2 * N),
    )
    for defence, access in ((TopK(1), "confidence"), (Rounded(1), "label"), (LabelsOnly(), "label")):
        querying = Querying(defence=defence, access=access)
        of_table, of_model = (audit(one, **SIDES, querying=querying) for one in (table, asked))
        np.testing.assert_array_equal(numbers(of_table), numbers(of_model))


def test_strength_zero_is_no_defence(tmp_path):
    with_none, with_zero = (
        audit(asked, **SIDES, adversary=training(tmp_path), querying=Querying(defence=defence))
        for defence in (None, TopK(K))
    )
    np.testing.assert_array_equal(numbers(with_none), numbers(with_zero))


def test_labels_are_those_of_the_defended_answers():
    result = audit(asked, **SIDES, querying=Querying(access="label", defence=Rounded(1)))
    by_hand = audit(behind_rounded_labels, **SIDES, querying=Querying(access="label"))
    np.testing.assert_array_equal(numbers(result), numbers(by_hand))


def test_a_defence_that_keeps_labels_changes_no_label_only_score(tmp_path):
    probe = NoisyCopies(8, (NoiseStrength(gaussian=0.3),))
    querying = partial(Querying, access="label", label_only=(probe,))
    guard = Defended(defence=MemGuard(), nonmembers=POOL)  # not even fitted: nobody could see it
    found = [
        audit(asked, **SIDES, adversary=training(tmp_path), querying=querying(defence=defence)).records
        for defence in (None, TopK(1), StrongestMemGuard(), guard)
    ]
    for records in found[1:]:
        np.testing.assert_array_equal(np.asarray(records), np.asarray(found[0]))


@dataclass(frozen=True)
class Counted:
    """A stranger's defence: it tells nothing but the label and its probability, and counts what it is shown."""

    seen: list[int] = field(default_factory=list)
    keeps_labels: ClassVar[bool] = True

    def __call__(self, answers: Any) -> Any:
        self.seen.append(answers.n_records)
        return TopK(1)(answers)

    def identity(self) -> dict[str, Any]:
        return {"defence": "counted"}


def test_labels_that_a_defence_keeps_are_not_asked_through_it(tmp_path):
    probe, counted = NoisyCopies(8, (NoiseStrength(gaussian=0.3),)), Counted()
    found = [
        audit(asked, **SIDES, adversary=training(tmp_path), querying=Querying(label_only=(probe,), defence=defence))
        for defence in (None, counted)
    ]
    plain, defended = (np.asarray(result.records["noise_robustness"]) for result in found)
    np.testing.assert_array_equal(plain, defended)
    sent = [result.queries.n_sent for result in found if result.queries is not None]
    assert sent[0] == sent[1] > 8 * 2 * N
    assert sum(counted.seen) < 14 * N  # each record, some again, a row to see what it gives, and the shadow models'


# ------------------------------------------------------------------------------------ the adversary's models


def raw_references() -> References:
    rng = np.random.default_rng(7)
    member = rng.random((6, 2 * N)) < 0.5
    answers = rng.dirichlet(np.ones(K), size=(6, 2 * N))
    answers[0, 3] = np.nan
    return References(Probabilities, answers, member, ids=np.arange(2 * N))


def test_references_answer_from_behind_the_defence():
    raw = raw_references()
    told = np.array([TopK(1)(Probabilities(np.nan_to_num(one, nan=1 / K))).whole() for one in raw.answers.array])
    told[0, 3] = np.nan
    by_hand = References(Probabilities, told, raw.member, ids=raw.ids)
    adaptive = audit(asked, **SIDES, adversary=raw, querying=Querying(defence=TopK(1)))
    np.testing.assert_array_equal(numbers(adaptive), numbers(audit(behind_top, **SIDES, adversary=by_hand)))
    unaware = Querying(defence=Defended(defence=TopK(1), known=KnowsDefence.UNAWARE))
    unaware_result = audit(asked, **SIDES, adversary=raw, querying=unaware)
    np.testing.assert_array_equal(numbers(unaware_result), numbers(audit(behind_top, **SIDES, adversary=raw)))


def fronted(guard: Any) -> Any:
    def answers(inputs: Any) -> Any:
        return guard(Probabilities(MODEL.predict_proba(inputs))).whole()

    return answers


@pytest.mark.usefixtures("few_trees")
def test_who_knows_half_of_the_members_learns_from_the_targets_own_defended_answers():
    attacks = ["forest_memguard"]
    front = Defended(defence=MemGuard(), nonmembers=POOL)
    of_members, of_others = (Probabilities(MODEL.predict_proba(r.inputs)) for r in (MEMBERS, POOL))
    fitted = MemGuard().fitted(of_members, of_others, 0)
    result = audit(asked, **SIDES, attacks=attacks, querying=Querying(defence=front))
    np.testing.assert_array_equal(numbers(result), numbers(audit(fronted(fitted), **SIDES, attacks=attacks)))
    [natural] = rows(result, threshold="natural", metric="balanced_accuracy", group="all")["n_members"]
    assert natural == N // 2
    assert result.records["forest_memguard"].notna().sum() == N  # the other half, which nothing was learnt from
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(numbers(result), numbers(audit(asked, **SIDES, attacks=attacks)))


def shadows_in(tmp_path: Any) -> Any:
    from vestige.auditing.shadows.training import train_shadows

    plan = plan_of(SklearnRecipe(FOREST), 4, records=MEMBERS)
    bank = Bank(tmp_path / "bank")
    return train_shadows(plan, tmp_path / "run", bank), bank


def test_each_shadow_model_has_a_classifier_of_its_own_members_and_of_the_third_pool(tmp_path):
    shadows, bank = shadows_in(tmp_path)
    front = Defended(defence=MemGuard(), nonmembers=POOL, shadow_nonmembers=POOL_OF_SHADOWS)
    own = defences_of(shadows, bank, front, labels_only=False)
    assert own is not None
    guard: Any = own[2]
    assert len({guard.identity()["digest"] for guard in own}) == 4
    raw = references_of(shadows)
    model = shadows.plan.recipe.load(bank.get(*_key(shadows, 2)))
    others = Probabilities(model.classifier.predict_proba(POOL_OF_SHADOWS.inputs))
    members = raw.kind(np.stack(list(raw.models()))[2][shadows.member[2]])
    plain = MemGuard().fitted(members, others, guard.seed)
    assert plain.identity() == guard.identity()
    told = np.stack(list(behind(raw, own).models()))
    by_hand = guard(raw.kind(np.stack(list(raw.models()))[2])).whole()
    np.testing.assert_allclose(told[2], by_hand, atol=1e-12)
    pooled = pooled_answers(shadows, labels_only=False, defences=own).output(Probabilities)
    np.testing.assert_allclose(pooled.whole().reshape(told.shape), told, atol=1e-12)


def _key(shadows: Any, number: int) -> Any:
    from vestige.training.model_key import key_of

    model_key = shadows.plan.model_key(number)
    return key_of(model_key), model_key


def test_the_targets_own_defence_is_one_for_all_and_the_unaware_have_none(tmp_path):
    shadows, bank = shadows_in(tmp_path)
    fitted = MemGuard().fitted(Logits(np.eye(K) * 9), Logits(np.eye(K)), 0)
    own = defences_of(shadows, bank, Defended(defence=fitted, known=KnowsDefence.TARGETS_OWN), labels_only=False)
    assert own == [fitted] * 4
    unaware = Defended(defence=fitted, known=KnowsDefence.UNAWARE)
    assert defences_of(shadows, bank, unaware, labels_only=False) is None
    assert defences_of(shadows, bank, Defended(defence=TopK(1)), labels_only=True) is None
    assert defences_of(shadows, bank, Defended(defence=Rounded(1)), labels_only=True) == [Rounded(1)] * 4


def test_one_set_of_shadow_models_serves_every_defence(tmp_path):
    known: dict[str, Any] = {}
    bank = tmp_path / "bank"
    for name, front in (
        ("none", None),
        ("adaptive", Defended(defence=StrongestMemGuard())),
        ("unaware", Defended(defence=StrongestMemGuard(), known=KnowsDefence.UNAWARE)),
    ):
        known[name] = audit(asked, **SIDES, adversary=training(tmp_path), querying=Querying(defence=front))
        kept = sorted((path.name, path.stat().st_mtime_ns) for path in bank.rglob("*.skops"))
        assert kept
        assert known.setdefault("kept", kept) == kept  # none was trained again
    gap = accuracy(known["none"], "correctness", "shadow_global")
    assert accuracy(known["adaptive"], "confidence", "shadow_global") == pytest.approx(gap, abs=1e-12)
    assert accuracy(known["adaptive"], "max_confidence", "shadow_global") == 0.5
    assert accuracy(known["unaware"], "max_confidence", "shadow_global") == 0.5
    assert accuracy(known["unaware"], "confidence", "shadow_global") == 0.5


def test_memguard_is_fitted_for_the_audit_and_recorded(tmp_path):
    front = Defended(defence=MemGuard(), nonmembers=POOL, shadow_nonmembers=POOL_OF_SHADOWS)
    result = audit(asked, **SIDES, adversary=training(tmp_path), querying=Querying(defence=front), run=tmp_path / "run")
    recorded = json.loads((tmp_path / "run" / MANIFEST).read_text())["defence"]
    assert recorded == dict(result.provenance.defence)
    assert recorded["defence"] == "memguard"
    assert recorded["known"] == "adaptive"
    members, others = (Probabilities(MODEL.predict_proba(r.inputs)) for r in (MEMBERS, POOL))
    assert recorded["digest"] == MemGuard().fitted(members, others, 0).identity()["digest"]
    check = {c.name: c for c in result.preflight.checks}["defence"].message
    assert "60 records of its own, which are not among the adversary's queries" in check
    assert result.queries is not None
    assert result.queries.n_sent < 2 * N + 40  # the defender's are not among them


# ------------------------------------------------------------------------------------------- the run's folder


def test_a_run_of_another_defence_is_refused(tmp_path):
    querying = Querying(defence=TopK(1))
    audit(asked, **SIDES, querying=querying, run=tmp_path / "run")
    audit(asked, **SIDES, querying=querying, run=tmp_path / "run")
    for other in (TopK(2), None, Defended(defence=TopK(1), known=KnowsDefence.UNAWARE)):
        with pytest.raises(RunFolderError, match="a run of the same defence"):
            audit(asked, **SIDES, querying=Querying(defence=other), run=tmp_path / "run")


def test_kept_answers_are_those_of_one_defence(tmp_path):
    first = audit(asked, **SIDES, querying=Querying(price=1.0, defence=TopK(1)), run=tmp_path / "run")
    CALLS.clear()
    again = audit(asked, **SIDES, querying=Querying(price=1.0, defence=TopK(1)), run=tmp_path / "run")
    assert not CALLS
    np.testing.assert_array_equal(numbers(first), numbers(again))
    with pytest.raises(RunFolderError, match="answers of the same model"):
        audit(asked, **SIDES, querying=Querying(price=1.0, defence=TopK(2)), run=tmp_path / "run")


# ---------------------------------------------------------------------------------------------- what is refused


def test_what_does_not_go_with_a_defence_is_refused_before_a_query(tmp_path):
    fitted = MemGuard().fitted(Logits(np.eye(K) * 9), Logits(np.eye(K)), 0)
    CALLS.clear()
    adversary = training(tmp_path)
    wrong: Any = TopK  # the class, for a defence
    own = noise(9, first=900)
    of_source = ShadowTraining(SklearnRecipe(FOREST), records=own, bank=tmp_path / "bank")
    cases: list[tuple[Any, str, dict[str, Any]]] = [
        (lambda: Querying(access="gradients", defence=TopK(1)), "found gradients, which it leaves undefended", {}),
        (lambda: Querying(defence=LabelsOnly()), "leaves labels alone, labels_only; ask for access to labels", {}),
        (lambda: Querying(defence=MemGuard()), "nonmembers of the defender's own to fit MemGuard, found none", {}),
        (lambda: Querying(defence=wrong), "a defence of answers such as", {}),
        (
            lambda: Querying(defence=Defended(defence=MemGuard(), nonmembers=NONMEMBERS)),
            "nonmembers of a defence that nobody else uses, found 60 that are audited",
            {},
        ),
        (
            lambda: Querying(defence=Defended(defence=MemGuard(), nonmembers=own)),
            "found 60 that are of source models",
            {"adversary": of_source},
        ),
        (
            lambda: Querying(defence=Defended(defence=MemGuard(), nonmembers=POOL, shadow_nonmembers=POOL)),
            "found 60 that are shadow_nonmembers too",
            {"adversary": adversary},
        ),
        (lambda: Querying(defence=fitted), "nonmembers to fit MemGuard to each shadow model", {"adversary": adversary}),
        (lambda: Querying(defence=fitted), "shadow models that can be asked", {"adversary": raw_references()}),
        (
            lambda: Querying(defence=Defended(defence=MemGuard(), nonmembers=POOL), price=1.0),
            "fitted defence in front of a model that is far away, or has a price",
            {},
        ),
    ]
    for querying, message, more in cases:
        with pytest.raises(InputError) as caught:
            audit(asked, **SIDES, querying=querying(), **more)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not CALLS
