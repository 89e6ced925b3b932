import gc
import sqlite3
import traceback
import types

import numpy as np
import pytest
from tests.targets.interfaces import Far, Known, White, probabilities_of

from vestige.core.errors import BudgetError, TargetError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.targets import ConfidenceTarget, GradientTarget, LabelTarget, RemoteInterface
from vestige.targets.access import confidence_target, gradient_target, label_target, labels_only, predicted_labels
from vestige.targets.ledger import Ledger
from vestige.targets.meter import Meter

X = np.random.default_rng(0).normal(size=(30, 2))
RECORDS = np.arange(30)
P = probabilities_of(X)


def numbers_in(thing, depth=4, seen=None):
    """Every number that can be reached through public attributes, items and text."""
    seen = set() if seen is None else seen
    if depth == 0 or id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, float):
        yield thing
    elif isinstance(thing, np.ndarray):
        yield from thing.ravel().tolist() if thing.dtype.kind in "iuf" else ()
    elif isinstance(thing, str | bytes | int | type | types.ModuleType):
        return
    elif isinstance(thing, dict):
        for value in thing.values():
            yield from numbers_in(value, depth - 1, seen)
    elif isinstance(thing, list | tuple | set):
        for value in thing:
            yield from numbers_in(value, depth - 1, seen)
    else:
        for name in dir(thing):
            if not name.startswith("_"):
                yield from numbers_in(getattr(thing, name), depth - 1, seen)


def leaks(values):
    return any(np.isclose(P.ravel(), v, rtol=1e-9, atol=0).any() for v in values if 0 < v < 1)


def test_each_level_offers_its_own_and_no_more():
    meter = Meter(White(), Ledger(None, 30))
    label, confidence, gradient = (make(meter, "a") for make in (label_target, confidence_target, gradient_target))
    assert isinstance(label, LabelTarget)
    assert not isinstance(label, ConfidenceTarget)
    assert isinstance(confidence, ConfidenceTarget)
    assert not isinstance(confidence, GradientTarget | LabelTarget)
    assert isinstance(gradient, GradientTarget)
    assert [name for name in dir(label) if not name.startswith("_")] == ["labels", "n_classes"]
    assert [name for name in dir(confidence) if not name.startswith("_")] == ["answers", "n_classes"]


def test_labels_are_those_of_the_largest_number_the_first_of_equal_ones():
    target = label_target(Meter(Known(), Ledger(None, 30)), "attack")
    assert np.array_equal(target.labels(X, RECORDS), P.argmax(axis=1))
    assert predicted_labels(Logits(np.array([[1.0, 1.0], [0.0, 2.0]]))).whole().tolist() == [0, 1]


def test_no_probability_can_be_read_from_what_a_label_only_attack_gets():
    meter = Meter(Known(), Ledger(None, 30))
    target = label_target(meter, "attack")
    assert leaks(numbers_in(confidence_target(meter, "b").answers(X, RECORDS).whole()))  # the test can see some
    target.labels(X, RECORDS)
    assert not leaks(numbers_in(target))
    with pytest.raises(AttributeError):
        target.answers  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError):
        target.__dict__  # noqa: B018


class Broken(Known):
    def answers(self, inputs):
        found = probabilities_of(inputs)
        raise TargetError(f"Expected a sum of 1, found {found[0, 0]!r} for record 1.")


def test_no_probability_is_in_the_error_that_a_label_only_attack_sees():
    meter = Meter(Broken(), Ledger(None, 30))
    with pytest.raises(TargetError, match="did not answer") as caught:
        label_target(meter, "attack").labels(X, RECORDS)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    text = "".join(traceback.format_exception(error))
    assert "found that the model did not answer" in text
    assert repr(float(P[0, 0]))[:8] not in text
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    inside = [f for f in frames if "caught" not in f]  # not this test's own
    assert inside
    for local in inside:
        assert not leaks(numbers_in({k: v for k, v in local.items() if k not in ("meter", "self")}))
    assert "Expected a sum of 1" in str(meter.failure)  # whoever runs the audit learns it


def test_a_budget_error_says_what_is_missing():
    with pytest.raises(BudgetError, match="found 3"):
        label_target(Meter(Known(), Ledger(None, 30, budget=3)), "attack").labels(X, RECORDS)


@pytest.mark.parametrize("make", [Known, Far])
def test_behind_label_access_no_file_holds_a_probability(make, tmp_path):
    ledger = Ledger(tmp_path / "q.sqlite", 30)
    meter = Meter(labels_only(make()), ledger, keep=True)
    answers = meter.answers(X, RECORDS, "attack")
    assert isinstance(answers, PredictedLabels)
    assert np.array_equal(answers.whole(), P.argmax(axis=1))
    ledger.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"predicted labels" in stored
    for p in P.ravel():
        assert np.float64(p).tobytes() not in stored
        assert np.float32(p).tobytes() not in stored
    with sqlite3.connect(tmp_path / "q.sqlite") as db:
        rows = db.execute("SELECT inputs, answers FROM queries").fetchall()
    db.close()
    assert rows
    size = len(b"predicted labels|<i8|") + 8
    for inputs, answers in rows:
        assert len(answers) == len(inputs) // 16 * size
        assert answers[::size] == b"p" * (len(inputs) // 16)


def test_label_access_stays_far_where_it_was_far():
    far = labels_only(Far())
    assert isinstance(far, RemoteInterface)
    assert far.identity == Far.identity
    assert not isinstance(labels_only(Known()), RemoteInterface)
    assert not hasattr(labels_only(White()), "gradient_norms")


def test_confidences_are_refused_where_there_are_labels_only():
    meter = Meter(labels_only(Known()), Ledger(None, 30))
    with pytest.raises(TargetError, match="number per class, found predicted labels"):
        confidence_target(meter, "attack").answers(X, RECORDS)
    confident = confidence_target(Meter(Known(), Ledger(None, 30)), "attack").answers(X, RECORDS)
    assert isinstance(confident, Probabilities)
    gc.collect()  # unclosed files would be noticed here


def test_no_probability_is_in_what_a_function_raises_behind_label_access():
    class Loud(Known):
        def answers(self, inputs):
            raise ValueError(f"p = {probabilities_of(inputs)[0, 0]}")

    meter = Meter(Loud(), Ledger(None, 2))
    with pytest.raises(TargetError, match="did not answer") as caught:
        label_target(meter, "attack").labels(np.ones((2, 2)), np.arange(2))
    assert caught.value.__context__ is None
    assert isinstance(meter.failure, ValueError)
