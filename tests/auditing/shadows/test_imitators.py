"""Imitators in an audit: what a plain loop gives, what is asked and trained, what is kept, and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.auditing.planted import of_attack
from tests.auditing.small_models import table, torch_recipe

from vestige import Querying, ShadowTraining, SklearnRecipe, audit, audit_recipe
from vestige.attacks.imitator_ratio import label_only_learnt_ratio_with_imitators
from vestige.auditing import adversary
from vestige.auditing.label_only import BoundarySearch, NoisyCopies, imitated
from vestige.auditing.references.phi import Imitated
from vestige.auditing.shadows import imitators as module
from vestige.auditing.shadows.training import train_shadows
from vestige.auditing.trained_models import cost_of
from vestige.core.errors import InputError, TrainingError
from vestige.core.inputs import InputSpace
from vestige.core.records import joined
from vestige.core.seeds import stream
from vestige.core.views import MirrorAndShifts
from vestige.data.signals.store import SignalStore
from vestige.signals.label_only.agreement import agreement
from vestige.signals.label_only.noise import Noise, NoiseStrength
from vestige.signals.phi import phi_from_logits
from vestige.training.imitation import Imitation
from vestige.training.stopping import LossPlateau
from vestige.training.strategies import Measured, Strategy

MEMBERS, NONMEMBERS = table(seed=1), table(seed=2)
NAMES = ("imitator_ratio", "learnt_ratio_with_imitators")


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch):
    """What a strategy is measured to be must not decide last bits."""
    measured = [Measured(Strategy(), 0.001)]
    monkeypatch.setattr("vestige.auditing.shadows.cost.measure_torch", lambda *_, **__: measured)


def classifier() -> Any:
    return torch_recipe(epochs=4).fit(MEMBERS, seed=3).classifier


def training(folder: Any, **options: Any) -> ShadowTraining:
    given = {"n_models": 8, "imitators": Imitation(n_pairs=2), "bank": folder / "bank"} | options
    return ShadowTraining(torch_recipe(epochs=4), **given)


def audited(folder: Any, **options: Any) -> Any:
    run = options.pop("run", None)
    return of(classifier(), training(folder, **options), run)


def of(model: Any, adversary: ShadowTraining, run: Any = None) -> Any:
    return audit(model, MEMBERS, NONMEMBERS, adversary=adversary, attacks=["lira_online", *NAMES], run=run)


def said_of(result: Any) -> str:
    message: str = next(check.message for check in result.preflight.checks if check.name == "imitators")
    return message


def test_both_attacks_are_played_and_say_what_they_learnt(tmp_path):
    result = audited(tmp_path)
    assert set(NAMES) <= set(result.results.attack)
    assert said_of(result).startswith("12 of 12 imitators of the target and of 2 shadow models")
    learnt = {one.attack: one for one in result.provenance.learnt}["learnt_ratio_with_imitators"]
    assert (learnt.n_models, learnt.n_rows) == (2, 240)
    without = audited(tmp_path, imitators=None)
    one, other = (of_attack(r, "lira_online").reset_index(drop=True) for r in (result, without))
    pd.testing.assert_frame_equal(one, other)


def test_imitators_are_those_of_a_plain_loop(tmp_path, monkeypatch):
    seen: dict[str, Any] = {}

    def kept(shadows, answers, *given):
        seen["found"], checks = module.imitated(shadows, answers, *given)
        seen["plan"] = shadows.plan
        seen["logits"] = [answers.whole(), *(shadows.store.read("logits", rows=[m])[0] for m in (0, 2))]
        return seen["found"], checks

    monkeypatch.setattr(adversary, "_imitated", lambda s, p, t, r, b, g: kept(s, p.outputs[0], t, r, np.inf, g))
    audited(tmp_path)
    found, plan = seen["found"], seen["plan"]
    members = found.is_in
    assert (members[0::2] == ~members[1::2]).all()
    assert not any((half == row).all() for half in members for row in plan.member)
    recipe = replace(plan.recipe, imitation=Imitation(n_pairs=2))
    assert found.models.tolist() == [0, 2]
    for logits, phi in zip(seen["logits"], found.phi, strict=True):
        pool = plan.records.answered(logits)
        for number, half in enumerate(members):
            seed = replace(plan, seed=module._seed(plan)).seed_of(number)
            model = recipe.fit(pool.take(np.flatnonzero(half)), seed=seed).classifier
            wanted = phi_from_logits(model(_tensor(pool.inputs)).detach().numpy(), np.asarray(pool.labels))
            np.testing.assert_allclose(phi[number], wanted, rtol=1e-4, atol=1e-5)


def _tensor(inputs: Any) -> Any:
    import torch

    return torch.from_numpy(np.asarray(inputs, dtype=np.float32))


def test_a_second_audit_trains_none_anew_and_another_target_only_its_own(tmp_path, monkeypatch):
    first = audited(tmp_path)
    trained: list[int] = []

    def counted(*given, **options):
        done = train_shadows(*given, **options)
        trained.append(done.n_trained)
        return done

    monkeypatch.setattr(module, "train_shadows", counted)
    pd.testing.assert_frame_equal(first.results, audited(tmp_path).results)
    assert trained == [0, 0, 0]
    other = torch_recipe(epochs=4).fit(MEMBERS, seed=4).classifier
    of(other, training(tmp_path))
    assert trained == [0, 0, 0, 4, 0, 0]


def test_a_run_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    whole = audited(tmp_path / "whole")
    calls: list[int] = []

    def stopped(*given, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train_shadows(*given, **options)

    monkeypatch.setattr(module, "train_shadows", stopped)
    with pytest.raises(KeyboardInterrupt):
        audited(tmp_path, run=tmp_path / "run")
    monkeypatch.setattr(module, "train_shadows", train_shadows)
    resumed = audited(tmp_path, run=tmp_path / "run")
    pd.testing.assert_frame_equal(whole.results, resumed.results)
    place = tmp_path / "run" / "imitators" / "shadow-2" / "signals.zarr"
    assert SignalStore.open(place).complete().all()
    assert place.stat().st_mode & 0o077 == 0


def test_a_rule_of_stopping_gives_imitators_the_epochs_that_shadow_models_took(tmp_path, monkeypatch):
    recipes: list[Any] = []

    def noted(plan, *given, **options):
        recipes.append(plan.recipe)
        return train_shadows(plan, *given, **options)

    monkeypatch.setattr(module, "train_shadows", noted)
    recipe = replace(torch_recipe(epochs=9), stop=LossPlateau())
    of(classifier(), replace(training(tmp_path), recipe=recipe))
    assert {r.stop for r in recipes} == {None}
    assert 1 <= recipes[0].epochs <= 9


def test_without_time_they_are_left_out_and_said(tmp_path, monkeypatch):
    def none(*_, **__):
        raise TrainingError("Expected at least one imitator in the time there was, found none; give it more time.")

    monkeypatch.setattr(module, "train_shadows", none)
    result = audited(tmp_path)
    assert said_of(result).startswith("No imitators were played: Expected at least one imitator in the time")
    assert not set(NAMES) & set(result.results.attack)
    assert {n.attack for n in result.not_run} >= set(NAMES)


def test_the_plan_knows_their_cost(tmp_path):
    given = classifier(), MEMBERS, NONMEMBERS, training(tmp_path), 0, Querying()
    lines = cost_of(*given).lines()
    assert any(line.startswith("12 imitators, of the target and of 2 shadow models") for line in lines)
    with pytest.raises(InputError, match="Expected time for 2 shadow models and 12 imitators, about"):
        cost_of(*given[:3], replace(given[3], within=0.01), 0, Querying())


# ------------------------------------------------------------------------------------------------- of labels alone

LABELS, STRENGTH = "label_only_learnt_ratio_with_imitators", NoiseStrength(gaussian=0.1)


def of_labels(folder: Any, n_members: int = 60, run: Any = None, **options: Any) -> Any:
    """An audit by labels alone of 120 records, of which the first so many are said to be members."""
    pool = joined(MEMBERS, NONMEMBERS)
    sides = pool.take(np.arange(n_members)), pool.take(np.arange(n_members, pool.n_records))
    querying = Querying(access="label", label_only=(NoisyCopies(20, (STRENGTH,)),))
    adversary = training(folder, **options)
    return audit(
        classifier(),
        *sides,
        adversary=adversary,
        attacks=["label_only_likelihood_ratio", LABELS],
        querying=querying,
        run=run,
    )


def test_of_labels_alone_imitators_are_those_of_a_plain_loop(tmp_path, monkeypatch):
    seen: list[Any] = []

    def kept(question, own, theirs, **told):
        played = play(question, own, theirs, **told)
        seen.append((question, own, theirs, told, played))
        return played

    def noted(*given):
        seen.append(Imitated(*given))
        return seen[-1]

    play = imitated.played_with_imitators
    monkeypatch.setattr("vestige.auditing.label_only.copies.played_with_imitators", kept)
    monkeypatch.setattr(imitated, "Imitated", noted)
    result = of_labels(tmp_path, run=tmp_path / "run")
    found, (question, own, theirs, _, played) = seen
    assert said_of(result).startswith("12 of 12 imitators of the target and of 2 shadow models")
    assert LABELS in set(result.results.attack)
    pool, n = question.pool, question.pool.n_records
    copies = Noise(InputSpace(), pool.inputs, STRENGTH, seed=0).copies(pool.inputs, np.arange(n), 0, 20)

    def classes_of(model: Any) -> Any:
        return model(_tensor(copies)).argmax(dim=1).numpy().reshape(n, 20)

    assert found.models.tolist() == [0, 2]
    seeds = [int(stream(0, f"shadow model {place}").integers(2**31)) for place in (0, 2)]
    halves = (pool.take(np.flatnonzero(question.shadows.member[place])) for place in (0, 2))
    players = [torch_recipe(epochs=4).fit(half, seed=seed).classifier for half, seed in zip(halves, seeds, strict=True)]
    seed = int(stream(0, "imitators").integers(2**31))
    recipe = replace(torch_recipe(epochs=4), imitation=Imitation(n_pairs=2))
    for model, signal in zip((classifier(), *players), found.phi, strict=True):
        given = classes_of(model)
        counts = np.stack([(given == c).sum(axis=1) for c in range(pool.n_classes)], axis=1)
        taught = pool.answered(np.log(counts + 0.1) - np.log(counts + 0.1).mean(axis=1, keepdims=True))
        for number, half in enumerate(found.is_in):
            own_seed = int(stream(seed, f"shadow model {number}").integers(2**31))
            copy = recipe.fit(taught.take(np.flatnonzero(half)), seed=own_seed).classifier
            right = classes_of(copy) == pool.labels[:, None]
            assert (
                np.abs(signal[number] - agreement(right)).mean() < 0.01
            )  # a copy at the boundary may fall differently
    scores = label_only_learnt_ratio_with_imitators(
        own, theirs, question.shadows.member, found.phi[0], found.is_in, found.phi[1:], found.models,
        groups=question.shadows.groups,
    )  # fmt: skip
    np.testing.assert_array_equal(played.played[0].scores, scores)


def test_of_labels_alone_nothing_is_asked_of_the_target_for_imitators(tmp_path):
    n_sent = [of_labels(tmp_path, imitators=given).queries.n_sent for given in (None, Imitation(n_pairs=2))]
    assert n_sent[0] == n_sent[1]


def test_of_labels_alone_who_is_a_member_decides_no_score(tmp_path, monkeypatch):
    seen: list[Any] = []

    def kept(*given, **told):
        seen.append(imitated.played_with_imitators(*given, **told))
        return seen[-1]

    monkeypatch.setattr("vestige.auditing.label_only.copies.played_with_imitators", kept)
    for n_members in (60, 40):
        of_labels(tmp_path, n_members)
    np.testing.assert_array_equal(*(one.played[0].scores for one in seen))


def test_of_labels_alone_too_few_models_or_no_time_is_said(tmp_path, monkeypatch):
    few = of_labels(tmp_path, n_models=6)
    assert LABELS in {one.attack for one in few.not_run}

    def none(*_, **__):
        raise TrainingError("Expected at least one imitator in the time there was, found none; give it more time.")

    monkeypatch.setattr(module, "train_shadows", none)
    result = of_labels(tmp_path)
    assert said_of(result).startswith("No imitators were played: Expected at least one imitator in the time")
    assert LABELS in {one.attack for one in result.not_run}
    without = of_labels(tmp_path, imitators=None)
    assert LABELS in {one.attack for one in without.not_run}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: ShadowTraining(SklearnRecipe(_bayes()), n_models=8, imitators=Imitation()), "Expected a torch rec"),
        (lambda f: ShadowTraining("same", n_models=8, imitators=Imitation()), "Expected a torch recipe for imitators"),
        (lambda f: training(f, records=MEMBERS, n_models=1), "Expected shadow models that are trained on audited"),
        (lambda f: training(f, checkpoints=(1, 2), epoch=2), "Expected shadow models that are trained on audited"),
        (lambda f: training(f, imitators=Imitation(n_pairs=0)), "Expected 1 pair of imitators or more"),
        (lambda f: audit_recipe(MEMBERS, training(f)), "Expected no imitators for the audit of a recipe"),
        (lambda f: _asked(f, access="label", label_only=(BoundarySearch(),)), "found no drawn copies with labels"),
        (lambda f: _asked(f, views=MirrorAndShifts()), "found several views of a record"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path, make, message):
    with pytest.raises(InputError, match=message):
        make(tmp_path)


def _bayes() -> Any:
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB()


def _asked(folder: Any, **querying: Any) -> Any:
    return audit(classifier(), MEMBERS, NONMEMBERS, adversary=training(folder), querying=Querying(**querying))
