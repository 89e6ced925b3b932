import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from tests.targets.models import Far, Known, White, probabilities_of

from vestige.core.errors import (
    ArtefactError,
    BudgetError,
    InputError,
    RunFolderError,
    TargetError,
    UnsupportedModelError,
)
from vestige.core.outputs import Logits, Probabilities
from vestige.targets import meter as metering
from vestige.targets.ledger import Ledger
from vestige.targets.meter import Meter, keys_of
from vestige.targets.refusals import check_finite

X = np.random.default_rng(0).normal(size=(30, 2))
RECORDS = np.arange(30)


def values(answers):
    return answers.whole()


def test_a_near_model_is_asked_about_all_and_every_query_is_counted():
    model, ledger = Known(), Ledger(None, 30)
    meter = Meter(model, ledger)
    assert np.array_equal(values(meter.answers(X, RECORDS, "attack")), probabilities_of(X))
    meter.answers(X[:5], np.full(5, 7), "other")
    assert len(model.seen) == 35
    assert ledger.per_record()[7] == 6
    assert ledger.per_attack() == {"attack": 30, "other": 5}


def test_a_far_model_answers_in_batches_and_all_come_back_in_order():
    model, ledger = Far(), Ledger(None, 30)
    assert np.array_equal(values(Meter(model, ledger).answers(X, RECORDS, "attack")), probabilities_of(X))
    assert ledger.per_record().tolist() == [1] * 30
    assert ledger.spent.n_failed == 4


@pytest.mark.parametrize("model", [Far, Known])
def test_equal_inputs_are_asked_once(model):
    interface, ledger = model(), Ledger(None, 30)
    meter = Meter(interface, ledger, keep=True)
    doubled = np.concatenate([X, X[::-1]])
    assert meter.n_to_ask(doubled) == meter.n_to_ask(X[:20], then=[X[10:], doubled]) == 30
    assert Meter(Known(), ledger).n_to_ask(X, then=[X]) == 60
    answers = values(meter.answers(doubled, np.concatenate([RECORDS, RECORDS[::-1]]), "attack"))
    assert np.array_equal(answers, probabilities_of(doubled))
    assert len(interface.seen) == 30
    assert (ledger.spent.n_sent, ledger.spent.n_kept) == (30, 30)
    assert meter.n_to_ask(doubled) == 0
    meter.answers(X, RECORDS, "another attack")
    assert len(interface.seen) == 30
    assert ledger.per_attack() == {"attack": 60, "another attack": 30}


def test_a_model_that_dies_keeps_what_it_answered_and_is_asked_the_rest_only(tmp_path):
    file = tmp_path / "q.sqlite"
    ledger = Ledger(file, 30, "m")
    dying = Far(dies_after=3)
    with pytest.raises(TargetError, match="dead server"):
        Meter(dying, ledger).answers(X, RECORDS, "attack")
    answered = len(dying.seen)
    assert 0 < answered < 30
    assert ledger.spent.n_sent == answered
    ledger.close()
    ledger, model = Ledger(file, 30, "m"), Far()
    assert Meter(model, ledger).n_to_ask(X) == 30 - answered
    assert np.array_equal(values(Meter(model, ledger).answers(X, RECORDS, "attack")), probabilities_of(X))
    assert len(model.seen) == 30 - answered
    assert not {tuple(x) for x in model.seen} & {tuple(x) for x in dying.seen}
    assert ledger.per_record().tolist() == [1] * 30
    ledger.close()


def test_a_paid_function_is_kept_chunk_by_chunk():
    class Dying(Known):
        def answers(self, inputs):
            if len(self.seen) >= 128:
                raise TargetError("dead")
            return super().answers(inputs)

    many = np.random.default_rng(1).normal(size=(200, 2))
    ledger, dying = Ledger(None, 200), Dying()
    with pytest.raises(TargetError, match="dead"):
        Meter(dying, ledger, keep=True).answers(many, np.arange(200), "attack")
    assert ledger.spent.n_sent == len(dying.seen) == 128


def test_a_budget_that_is_too_small_sends_nothing():
    model = Far()
    with pytest.raises(BudgetError, match="budget of 30"):
        Meter(model, Ledger(None, 30, budget=29)).answers(X, RECORDS, "attack")
    near = Known()
    with pytest.raises(BudgetError, match="None of these 30 was sent"):
        Meter(near, Ledger(None, 30, budget=29)).answers(X, RECORDS, "attack")
    assert model.seen == near.seen == []


def test_kept_answers_cost_no_budget():
    ledger = Ledger(None, 30, budget=30)
    meter = Meter(Far(), ledger)
    meter.answers(X, RECORDS, "attack")
    meter.answers(X, RECORDS, "attack")
    with pytest.raises(BudgetError, match="budget"):
        meter.answers(X[:1] + 1, RECORDS[:1], "attack")


def test_asking_again_asks_again_and_only_once():
    model, ledger = Far(), Ledger(None, 30)
    meter = Meter(model, ledger)
    meter.answers(X, RECORDS, "attack")
    assert meter.n_to_ask(X[:4], again=True) == 4
    for _ in range(2):
        assert np.array_equal(values(meter.answers(X[:4], RECORDS[:4], "again", again=True)), probabilities_of(X[:4]))
    assert len(model.seen) == 34


def test_a_model_that_changes_its_version_ends_the_run():
    model = Far(version="1")
    meter = Meter(model, Ledger(None, 30))
    meter.answers(X[:10], RECORDS[:10], "attack")
    model.version = "2"
    with pytest.raises(RunFolderError, match="same version as before, 1, found 2"):
        meter.answers(X, RECORDS, "attack")


def test_progress_counts_answers():
    told = []
    meter = Meter(Far(), Ledger(None, 30), progress=lambda *step: told.append(step))
    meter.answers(X, RECORDS, "attack")
    assert told[-1] == ("asking the target", 30, 30)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_gradients_are_queries_and_not_every_model_has_them():
    ledger = Ledger(None, 30)
    norms = Meter(White(), ledger).gradient_norms(X, np.ones(30, dtype=int), RECORDS, "attack")
    assert np.array_equal(norms, X[:, 0] + 1)
    assert ledger.spent.n_sent == 30
    with pytest.raises(UnsupportedModelError, match="torch module for gradients"):
        Meter(Known(), ledger).gradient_norms(X, np.ones(30, dtype=int), RECORDS, "attack")


def test_norms_of_gradients_that_were_paid_for_are_kept_for_their_input_and_label():
    class Counting(White):
        def gradient_norms(self, inputs, labels):
            self.seen.extend(np.asarray(inputs).tolist())
            return super().gradient_norms(inputs, labels)

    many, labels = np.random.default_rng(1).normal(size=(70, 2)), np.arange(70) % 3
    model, ledger = Counting(), Ledger(None, 70, budget=71)
    meter = Meter(model, ledger, keep=True)
    assert meter.n_norms_to_ask(many, labels) == 70
    for _ in range(2):
        norms = meter.gradient_norms(many, labels, np.arange(70), "attack")
        np.testing.assert_array_equal(norms, many[:, 0] + labels)
        assert len(model.seen) == 70
    assert (ledger.spent.n_sent, ledger.spent.n_kept) == (70, 70)
    other = meter.gradient_norms(many[:1], labels[:1] + 1, np.arange(1), "attack")
    assert other == many[0, 0] + 1
    assert meter.n_to_ask(many) == 70  # an answer is something else
    with pytest.raises(BudgetError, match="budget of 72"):
        meter.gradient_norms(many[:1], labels[:1] + 2, np.arange(1), "attack")


@pytest.mark.parametrize("records", [np.arange(29), np.full(30, 30), np.full(30, -1)])
def test_every_query_is_about_a_record(records):
    with pytest.raises(InputError, match=r"number of its record, in 0\.\.29"):
        Meter(Known(), Ledger(None, 30)).answers(X, records, "attack")


def test_keys_tell_values_types_and_columns_apart():
    table = pd.DataFrame({"a": [1, 1, 2], "b": pd.Categorical(["x", "x", "y"])})
    first, second, third = keys_of(table)
    assert first == second != third
    assert keys_of(table.iloc[1:])[0] == first  # whatever is beside it
    others = [
        table.rename(columns={"a": "c"}),
        table.astype({"a": float}),
        table.assign(b=["x", "y", "z"]).iloc[[1]],
    ]
    for other in others:
        assert first not in keys_of(other)
    assert keys_of(X)[0] not in keys_of(X.astype(np.float32))
    assert keys_of(X)[0] not in keys_of(X, b"again")
    text = pd.DataFrame({"a": ["1 ", "1"], "b": ["2", " 2"]})
    assert len(set(keys_of(text))) == 2
    assert len(set(keys_of(pd.DataFrame({"a": [1, "1", 1.0, None]}, dtype=object)))) == 4


def test_arrays_in_a_table_that_differ_in_the_middle_have_different_keys():
    long, other = np.zeros(2000), np.zeros(2000)
    other[1000] = 1
    first, second, third = keys_of(pd.DataFrame({"embedding": [long, other, long.copy()]}))
    assert first != second
    assert first == third


def test_keys_are_those_of_the_rows_however_many_there_are(monkeypatch):
    table = pd.DataFrame({"a": np.arange(25) % 7, "b": pd.Categorical(list("xyzxy") * 5), "c": np.arange(25) / 2})
    whole = keys_of(table)
    monkeypatch.setattr(metering, "_CUT_AT_ONCE", 4)
    assert keys_of(table) == whole
    assert keys_of(table.iloc[:0]) == []


def test_keys_of_a_wide_table_take_no_object_per_entry():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(20_000, 50)))
    tracemalloc.start()
    keys_of(table)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5 * table.to_numpy().nbytes


def test_an_answer_that_is_none_is_named_by_its_record_wherever_it_is_asked():
    class Sour(Known):
        def answers(self, inputs):
            found = probabilities_of(inputs)
            found[(inputs == X[20]).all(axis=1)] = np.nan
            check_finite(found, "probabilities")
            return super().answers(inputs)

    for keep, rows in ((True, np.arange(30)), (False, np.arange(30)), (True, np.arange(10, 30)), (False, [3, 20, 4])):
        meter = Meter(Sour(), Ledger(None, 30), keep=keep)
        with pytest.raises(TargetError, match=r"first for record 21\.$"):
            meter.answers(X[rows], np.array(rows), "attack")
    many = np.concatenate([np.ones((70, 2)) * np.arange(70)[:, None], X[20:21]])
    with pytest.raises(TargetError, match=r"first for record 71\.$"):
        Meter(Sour(), Ledger(None, 71), keep=True).answers(many, np.arange(71), "attack")


@pytest.mark.parametrize("said", ["found infinity in record {}, which JSON cannot hold.", "NaN, first for record {}."])
def test_whatever_is_said_of_a_record_names_it_by_its_number(said):
    class Remote(Far):
        def answers_in_batches(self, inputs, allowance=None):
            raise InputError(f"Expected numbers, {said.format(2)}")

    with pytest.raises(InputError, match=re.escape(said.format("1,005"))):
        Meter(Remote(), Ledger(None, 2_000)).answers(X[:3], np.array([7, 1_004, 9]), "attack")


def test_answers_of_two_precisions_are_answers_of_one_kind():
    class Wavering(Known):
        def answers(self, inputs):
            found = super().answers(inputs).whole()
            return Probabilities(found.astype(np.float32) if len(inputs) < 64 else found)

    many = np.random.default_rng(1).normal(size=(70, 2))
    meter = Meter(Wavering(), Ledger(None, 70), keep=True)
    np.testing.assert_allclose(values(meter.answers(many, np.arange(70), "attack")), probabilities_of(many), rtol=1e-6)


def test_answers_of_two_kinds_are_refused():
    class Turning(Known):
        def answers(self, inputs):
            found = super().answers(inputs)
            return found if len(inputs) == 64 else Logits(np.log(found.whole()))

    many = np.random.default_rng(1).normal(size=(70, 2))
    with pytest.raises(ArtefactError, match="one kind, found logits and probabilities in the ledger"):
        Meter(Turning(), Ledger(None, 70), keep=True).answers(many, np.arange(70), "attack")


def test_a_far_model_that_leaves_records_out_is_named_and_what_it_answered_is_kept():
    class Forgetful(Far):
        def answers_in_batches(self, inputs, allowance=None):
            yield next(iter(super().answers_in_batches(inputs)))

    model, ledger = Forgetful(), Ledger(None, 30)
    with pytest.raises(TargetError, match="each of 30 queries, found 2; those that came are kept"):
        Meter(model, ledger).answers(X, RECORDS, "attack")
    assert ledger.spent.n_sent == 2
