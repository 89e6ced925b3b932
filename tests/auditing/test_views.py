"""Several views of each image, and LiRA's choices, from the audit's call to the run's files."""

import functools
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.auditing.planted import rows
from tests.auditing.small_models import network, torch_recipe
from torch import nn

import vestige
from vestige import LikelihoodRatio, Querying, Records, ShadowTraining
from vestige.attacks import CATALOGUE
from vestige.attacks.lira import lira_offline, lira_online
from vestige.auditing.files.audit_file import audit_file_of
from vestige.auditing.querying.cost import lines_of_asking
from vestige.auditing.references.scores import score_with
from vestige.auditing.shadows.checks import mismatched_recipe
from vestige.auditing.trained_models import cost_of
from vestige.core.errors import BudgetError, InputError, RunFolderError
from vestige.core.inputs import InputSpace
from vestige.core.likelihood_ratio import Queries, Statistic
from vestige.core.outputs import Logits, Phi, Probabilities
from vestige.core.predictions import Predictions
from vestige.core.references import References
from vestige.core.result import AuditResult
from vestige.core.views import MirrorAndShifts
from vestige.data.predictions.references import read_references
from vestige.data.sets.designs import complementary_pairs
from vestige.data.signals.store import SignalStore
from vestige.signals.hinge import hinge_from_logits
from vestige.signals.losses import losses_from_logits
from vestige.signals.phi import phi_from_logits
from vestige.training.sklearn_recipe import SklearnRecipe

N = 40  # on each side
NINE = MirrorAndShifts(1, mirror=False)


def small_net() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(25, 3))


def images(seed: int) -> Records:
    rng = np.random.default_rng(seed)
    return Records(rng.normal(size=(N, 1, 5, 5)).astype(np.float32), np.arange(N) % 3, ids=np.arange(N) + 1000 * seed)


RECIPE: Any = replace(
    torch_recipe(epochs=30, optimiser=functools.partial(torch.optim.Adam, lr=0.05)), network=small_net
)
SIDES: dict[str, Any] = {"members": images(0), "nonmembers": images(1)}
BOTH: Any = tuple(SIDES.values())
VIEWS = MirrorAndShifts(0)
USED = ["loss", "lira_online"]


@pytest.fixture(scope="module")
def model() -> Any:
    return RECIPE.fit(SIDES["members"], seed=99).classifier


@pytest.fixture(scope="module")
def bank(tmp_path_factory: Any) -> Any:
    return tmp_path_factory.mktemp("bank")


@pytest.fixture
def audited(model: Any, bank: Any) -> Any:
    def play(views: Any = VIEWS, run: Any = None, given: Any = model, **more: Any) -> AuditResult:
        training = ShadowTraining(RECIPE, n_models=8, bank=bank)
        querying = Querying(views=views, **more.pop("querying", {}))
        more = {"attacks": USED, **more}
        return vestige.audit(given, **SIDES, querying=querying, adversary=training, run=run, **more)

    return play


def test_target_and_shadow_models_are_asked_all_views(audited, model, tmp_path):
    result = audited(run=tmp_path / "run")
    store = SignalStore.open(tmp_path / "run" / "signals.zarr")
    assert store.variables["logits"].dims == ("model", "record", "query", "class")
    theirs = store.read("logits")
    pool = np.concatenate([side.inputs for side in SIDES.values()])
    labels = np.concatenate([side.labels for side in SIDES.values()])
    with torch.no_grad():
        ours = np.stack([model(torch.from_numpy(x)).numpy() for x in (pool, pool[..., ::-1].copy())], axis=1)
    phi, shadow_phi = phi_from_logits(ours, labels[:, None]), phi_from_logits(theirs, labels[:, None])
    expected = lira_online(phi, shadow_phi, store.read("member"))
    np.testing.assert_allclose(result.records["lira_online"], expected, rtol=1e-4)
    np.testing.assert_allclose(result.records["loss"], -losses_from_logits(ours[:, 0], labels), rtol=1e-5)  # the image
    of_lira = rows(result, attack="lira_online")
    assert set(of_lira["n_queries"]) == {2}
    assert set(rows(result, attack="loss")["n_queries"]) == {1}
    asked = {threat.attack: threat.n_queries for threat in result.threat_models}
    assert (asked["lira_online"], asked["loss"]) == (2, 1)
    assert "2 answers a record" in result.adversary.sentence
    assert "2 queries a record, scores averaged" in result.provenance.definitions["reference models"]
    assert result.queries is not None
    assert result.queries.n_sent == 2 * N + 32 + 2 * N
    with sqlite3.connect(tmp_path / "run" / "queries.sqlite") as ledger:
        tables = [name for (name,) in ledger.execute("select name from sqlite_master where type = 'table'")]
        text = str([ledger.execute(f"select * from {name}").fetchall() for name in tables])
    assert "views of a record" in text


def test_a_run_goes_on_with_the_same_views_only(audited, tmp_path, monkeypatch):
    first = audited(run=tmp_path / "run")
    monkeypatch.setattr("vestige.auditing.shadows.job.train_group", None)  # nothing is trained again
    again = audited(run=tmp_path / "run")
    np.testing.assert_array_equal(first.records["lira_online"], again.records["lira_online"])
    for other, there, here in ((None, "mirror", "none"), (NINE, "0", "1")):
        with pytest.raises(RunFolderError, match=f"same views, found .*{there}.* there and .*{here}.* here"):
            audited(views=other, run=tmp_path / "run")
    monkeypatch.undo()
    audited(views=None, run=tmp_path / "plain")
    assert "views" not in json.loads((tmp_path / "plain" / "shadows.json").read_text())["asked"]
    with pytest.raises(RunFolderError, match="same views, found none there"):
        audited(run=tmp_path / "plain")


def test_a_target_may_answer_with_probabilities_where_shadow_models_give_logits(audited, model):
    def of_probabilities(inputs: Any) -> Any:
        with torch.no_grad():
            return torch.softmax(model(torch.from_numpy(np.asarray(inputs))).double(), dim=1).numpy()

    found, expected = audited(given=of_probabilities), audited()
    np.testing.assert_allclose(found.records["lira_online"], expected.records["lira_online"], rtol=1e-3, atol=1e-3)


def test_a_budget_holds_the_views_or_nothing_is_asked(model, audited):
    once, views = 2 * N + 32, 2 * N
    with pytest.raises(BudgetError):
        audited(querying={"budget": once + views - 1})
    assert audited(querying={"budget": once + views}).queries.n_sent == once + views
    lines = lines_of_asking(model, BOTH[0], BOTH[1], Querying(views=VIEWS), 0)
    assert lines[0] == "192 queries: 80 for 80 records, 32 of them again, to compare, 80 for 1 other views of each"


def test_the_plan_counts_views_that_are_alike_once_where_answers_are_kept(model, bank):
    alike = np.zeros((10, 1, 5, 5), dtype=np.float32)  # as each other, and as their mirror images
    members, nonmembers = (replace(side, inputs=np.concatenate([alike, side.inputs[10:]])) for side in BOTH)
    planned = lines_of_asking(model, members, nonmembers, Querying(views=VIEWS, price=1.0), 0)[0]
    n_planned = int(planned.split(" queries")[0])
    assert n_planned < 2 * 2 * N + 32 - 2 * 19
    querying = Querying(views=VIEWS, price=1.0, budget=n_planned)
    training = ShadowTraining(RECIPE, n_models=8, bank=bank)
    result = vestige.audit(
        model, members=members, nonmembers=nonmembers, querying=querying, adversary=training, attacks=USED
    )
    assert result.queries is not None
    assert result.queries.n_sent == n_planned


def test_the_plan_counts_views_in_disk_and_memory(model, bank):
    training = ShadowTraining(RECIPE, n_models=8, bank=bank)
    plain, wide = (cost_of(model, BOTH[0], BOTH[1], training, 0, Querying(views=views)) for views in (None, VIEWS))
    assert (wide.disk, wide.n_views) == (2 * plain.disk, 2)
    assert "each is asked 2 views of every record, which takes time that was not measured" in wide.lines()
    few = cost_of(model, BOTH[0], BOTH[1], replace(training, n_models=12, share="5/6"), 0, Querying())
    assert (few.n_models, str(few.share)) == (12, "5/6")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"querying": Querying(views=VIEWS)}, "ShadowTraining or References beside several views"),
        ({"likelihood": LikelihoodRatio()}, "ShadowTraining or References beside a likelihood ratio"),
    ],
)
def test_what_does_nothing_without_shadow_models_is_refused(model, more, said):
    with pytest.raises(InputError, match=said):
        vestige.audit(model, **SIDES, **more)


def test_the_run_of_an_audit_with_views_serves_another_as_references(audited, model, tmp_path):
    first = audited(run=tmp_path / "run")
    references = read_references(tmp_path / "run")
    second = vestige.audit(model, **SIDES, adversary=references, querying=Querying(views=VIEWS), attacks=USED)
    np.testing.assert_array_equal(first.records["lira_online"], second.records["lira_online"])
    known = replace(references, labels=np.concatenate([side.labels for side in BOTH]))
    third = vestige.audit(model, **SIDES, adversary=known, querying=Querying(views=VIEWS), attacks=USED)
    np.testing.assert_array_equal(first.records["lira_online"], third.records["lira_online"])
    with pytest.raises(InputError, match="for 9 views of 3 classes, found logits of 2 x 3 per record"):
        vestige.audit(model, **SIDES, adversary=references, querying=Querying(views=NINE))
    with pytest.raises(InputError, match="target's answers to the same 2 queries"):
        vestige.audit(model, **SIDES, adversary=references)


# ------------------------------------------------------------------------------------- how LiRA is played

LOGITS_OF_MANY = 2 * np.random.default_rng(0).normal(size=(9, N, 2, 3))
IS_IN = complementary_pairs(8, N, seed=0)
LABELS = np.arange(N) % 3


def of_many(kind: Any = Logits, **more: Any) -> tuple[References, Predictions]:
    table = LOGITS_OF_MANY
    if kind is Probabilities:
        table = np.exp(table) / np.exp(table).sum(axis=-1, keepdims=True)
    references = References(kind, table[1:], IS_IN, target=table[0], **more)
    return references, Predictions(kind(table[0, :, 0]), labels=LABELS, member=LABELS > 0, classes="abc")


@pytest.mark.parametrize(
    ("statistic", "of"),
    [
        ("logit", phi_from_logits),
        ("hinge", hinge_from_logits),
        ("loss", lambda z, y: -losses_from_logits(z, y)),
    ],
)
def test_a_statistic_is_what_lira_reads_and_no_other_attack(statistic, of):
    likelihood = LikelihoodRatio(statistic=statistic, center="median", variance="published_fixed", min_std=0.5)
    found = score_with(*of_many(), likelihood=likelihood)
    seen = of(LOGITS_OF_MANY, LABELS[:, None])
    options: Any = {"center": likelihood.center, "variance": likelihood.variance, "min_std": 0.5}
    for name, attack in (("lira_online", lira_online), ("lira_offline", lira_offline)):
        np.testing.assert_allclose(found.attacks.scores[name], attack(seen[0], seen[1:], IS_IN, **options))
    usual = score_with(*of_many())
    for name in set(usual.attacks.scores) - {a.name for a in CATALOGUE if a.name.startswith("lira")}:
        np.testing.assert_array_equal(found.attacks.scores[name], usual.attacks.scores[name])
    assert found.digest == usual.digest
    assert found.definitions["lira"].startswith("medians of models")
    assert "at least 0.5" in found.definitions["lira"]


def test_several_queries_may_have_one_gaussian():
    found = score_with(*of_many(), likelihood=LikelihoodRatio(queries="full_covariance"))
    seen = phi_from_logits(LOGITS_OF_MANY, LABELS[:, None])
    expected = lira_online(seen[0], seen[1:], IS_IN, queries=Queries.FULL_COVARIANCE)
    np.testing.assert_allclose(found.attacks.scores["lira_online"], expected)
    assert "one Gaussian over all of them" in found.definitions["reference models"]


def test_the_hinge_is_of_logits_only_and_log_p_of_probabilities_too():
    with pytest.raises(InputError, match="logits for the hinge statistic, found other answers of the reference models"):
        score_with(*of_many(Probabilities), likelihood=LikelihoodRatio(statistic="hinge"))
    references, target = of_many()
    ours = of_many(Probabilities)[0].target
    with pytest.raises(InputError, match="found other answers of the target; take the statistic logit or loss"):
        score_with(
            replace(references, target=ours, target_kind=Probabilities),
            target,
            likelihood=LikelihoodRatio(statistic="hinge"),
        )
    one, other = (
        score_with(*of_many(kind), likelihood=LikelihoodRatio(statistic="loss")) for kind in (Logits, Probabilities)
    )
    np.testing.assert_allclose(one.attacks.scores["lira_online"], other.attacks.scores["lira_online"])
    assert (one.observed.answers["statistic"] <= 0).all()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"groups": np.zeros(8)}, "groups of the references as whole numbers"),
        ({"groups": np.zeros(3, dtype=int)}, "groups of the references"),
        ({"target_kind": Phi}, "target's answers of the references' kind"),
    ],
)
def test_references_that_do_not_fit_are_refused(more, said):
    with pytest.raises(InputError, match=said):
        of_many(**more)


def test_another_choice_is_another_run(audited, tmp_path):
    asked = LikelihoodRatio(statistic=Statistic.HINGE)
    result = audited(views=None, run=tmp_path / "run", likelihood=asked)
    assert result.provenance.likelihood_ratio == asked.as_text()
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["likelihood_ratio"]["statistic"] == "hinge"
    with pytest.raises(RunFolderError, match=r"same likelihood_ratio, found statistic hinge.*and statistic logit"):
        audited(views=None, run=tmp_path / "run")
    del manifest["likelihood_ratio"]  # a run of before there was a choice
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    audited(views=None, run=tmp_path / "run")


# ------------------------------------------------------------------------------------------ in a file


def file_of(**tables: Any) -> Any:
    target = {"model": "clinic:model", **tables.pop("target", {})}
    return audit_file_of({"target": target, "data": {"members": "a", "nonmembers": "b"}, **tables}, _HERE, "audit.toml")


_HERE = Path(__file__).parent


def test_an_audit_file_says_views_share_and_likelihood_ratio(tmp_path):
    said = file_of(
        target={"views": {"shift": 1, "mirror": True}},
        recipe={"train": "same", "share": "5/6", "n_shadows": 12},
        likelihood_ratio={"statistic": "loss", "variance": "pooled"},
    )
    assert said.querying().views == MirrorAndShifts(1)
    assert said.training().group_size == 6
    assert said.likelihood_ratio == LikelihoodRatio(statistic="loss", variance="pooled")
    resolved = said.as_tables(tmp_path, [])
    assert resolved["target"]["views"] == {"shift": 1, "mirror": True}
    assert resolved["recipe"]["share"] == "5/6"
    assert resolved["likelihood_ratio"]["center"] == "mean"
    plain = file_of(recipe={"train": "same"})
    assert (plain.querying().views, plain.likelihood_ratio, plain.training().group_size) == (None, None, 2)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"likelihood_ratio": {"statistic": "phi"}}, "likelihood_ratio.statistic"),
        ({"likelihood_ratio": {"statistics": "loss"}}, "no entry likelihood_ratio.statistics"),
        ({"target": {"views": {"shift": "one"}}}, "target.views.shift"),
        ({"recipe": {"train": "same", "share": True}}, "recipe.share"),
    ],
)
def test_what_a_file_says_wrongly_is_refused(tables, said):
    with pytest.raises(InputError, match=said):
        file_of(**tables)


def test_images_declared_channels_last_are_taken_so():
    views = Querying(inputs=InputSpace(channels_first=True), views=MirrorAndShifts()).views
    assert views == MirrorAndShifts(channels="last")


# --------------------------------------------------------------------------------------- another recipe


def wide_net() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(25, 4), nn.Linear(4, 3))


def test_a_recipe_of_another_architecture_is_named(model):
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    assert mismatched_recipe(model, RECIPE) == []
    assert mismatched_recipe(small_net(), RECIPE) == []
    assert mismatched_recipe(GaussianNB(), RECIPE) == []  # cannot be seen
    assert mismatched_recipe(lambda x: x, SklearnRecipe(GaussianNB())) == []
    (found,) = mismatched_recipe(network(), RECIPE)
    assert (found.name, str(found.validity)) == ("mismatched_recipe", "VALID")
    assert "Sequential, and the recipe's another Sequential" in found.message
    assert mismatched_recipe(model, replace(RECIPE, network=wide_net))
    one, two = SklearnRecipe(LogisticRegression(C=3)), SklearnRecipe(make_pipeline(StandardScaler(), GaussianNB()))
    assert mismatched_recipe(LogisticRegression(), one) == []
    (found,) = mismatched_recipe(GaussianNB(), one)
    assert found.message.startswith("The target is a GaussianNB, and the recipe's LogisticRegression:")
    assert mismatched_recipe(make_pipeline(StandardScaler(), LogisticRegression()), two)
