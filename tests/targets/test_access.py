import contextlib
import copy
import gc
import itertools
import pickle
import re
import sqlite3
import traceback
import types

import numpy as np
import pytest
from tests.targets.models import Far, Known, White, probabilities_of

from vestige.core.errors import BudgetError, TargetError, UnsupportedModelError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.targets import ConfidenceTarget, GradientTarget, LabelTarget, RemoteModel
from vestige.targets.access import MeteredConfidences, MeteredGradients, MeteredLabels, labels_only, predicted_labels
from vestige.targets.ledger import Ledger
from vestige.targets.meter import Meter

X = np.random.default_rng(0).normal(size=(30, 2))
RECORDS = np.arange(30)
P = probabilities_of(X)


def parts_of(thing):
    """What can be reached from a thing in one step by any name, private ones too, but for globals and who called."""
    if isinstance(thing, dict):
        yield from (*thing.keys(), *thing.values())
    elif isinstance(thing, list | tuple | set | frozenset):
        yield from thing
    elif isinstance(thing, types.TracebackType):
        yield from (frame.f_locals for frame, _ in traceback.walk_tb(thing) if frame.f_code.co_filename != __file__)
    else:
        slots = [vars(kind).get("__slots__", ()) for kind in type(thing).__mro__]
        names = {name for of in slots for name in ([of] if isinstance(of, str) else of)} | set(dir(thing))
        beside = ("__self__", "__func__", "__closure__", "__defaults__", "__kwdefaults__", "__wrapped__", "__dict__")
        of_error = ("__context__", "__cause__", "__traceback__", "__notes__", "args")
        of_code = ("cell_contents", "gi_frame", "f_locals")
        for name in sorted(names):
            if not name.startswith("__") or name in (*beside, *of_error, *of_code):
                with contextlib.suppress(AttributeError, ValueError):
                    yield getattr(thing, name)


def numbers_in(thing, depth=9, seen=None):
    """Every number that can be reached from a thing, in its text and in its bytes too."""
    seen = {} if seen is None else seen
    if depth == 0 or id(thing) in seen or isinstance(thing, type | types.ModuleType):
        return
    seen[id(thing)] = thing  # kept alive, so that no other thing gets its number
    if isinstance(thing, float | np.floating):
        yield float(thing)
    elif isinstance(thing, np.ndarray):
        yield from thing.ravel().tolist() if thing.dtype.kind == "f" else ()
        yield from () if thing.base is None else numbers_in(thing.base, depth - 1, seen)
    elif isinstance(thing, bytes):
        for dtype, start in itertools.product(("<f8", "<f4"), range(8)):
            size = np.dtype(dtype).itemsize
            yield from np.frombuffer(thing[start : start + (len(thing) - start) // size * size], dtype=dtype).tolist()
    elif isinstance(thing, str):
        yield from map(float, re.findall(r"\d?\.\d{4,}(?:e-?\d+)?", thing))
    elif not isinstance(thing, int | None):
        if not isinstance(thing, dict | list | tuple | set):
            yield from numbers_in(repr(thing), depth, seen)
        for part in parts_of(thing):
            yield from numbers_in(part, depth - 1, seen)


def leaks(values):
    found = np.array([v for v in values if 0 < v < 1])
    return bool(np.isclose(np.unique(found)[:, None], P.ravel(), rtol=1e-5, atol=0).any())


def test_each_level_offers_its_own_and_no_more():
    meter = Meter(White(), Ledger(None, 30))
    label, confidence, gradient = (make(meter, "a") for make in (MeteredLabels, MeteredConfidences, MeteredGradients))
    assert isinstance(label, LabelTarget)
    assert not isinstance(label, ConfidenceTarget)
    assert isinstance(confidence, ConfidenceTarget)
    assert not isinstance(confidence, GradientTarget | LabelTarget)
    assert isinstance(gradient, GradientTarget)
    assert [name for name in dir(label) if not name.startswith("_")] == ["labels", "n_classes"]
    assert [name for name in dir(confidence) if not name.startswith("_")] == ["answers", "n_classes"]


def test_labels_are_those_of_the_largest_number_the_first_of_equal_ones():
    target = MeteredLabels(Meter(Known(), Ledger(None, 30)), "attack")
    assert np.array_equal(target.labels(X, RECORDS), P.argmax(axis=1))
    assert predicted_labels(Logits(np.array([[1.0, 1.0], [0.0, 2.0]]))).whole().tolist() == [0, 1]


def test_no_probability_can_be_read_from_what_a_label_only_attack_gets():
    meter = Meter(Known(), Ledger(None, 30), keep=True)  # whose ledger holds them
    target = MeteredLabels(meter, "attack")
    found = target.labels(X, RECORDS)
    for given in (target, target.labels, found):
        assert not leaks(numbers_in(given))
    with pytest.raises(AttributeError):
        target.answers  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError):
        target.__dict__  # noqa: B018
    assert leaks(numbers_in(meter))


@pytest.mark.parametrize("name", ["attribute", "closure", "bytes", "text", "method", "base of an array"])
def test_a_probability_would_be_seen_wherever_it_hid(name):
    class Leaky:
        def __init__(self):
            self._kept = P[:1]

        def labels(self):
            return self._kept

    def closing(kept):
        return lambda: kept

    hidden = {
        "attribute": Leaky(),
        "closure": closing(P),
        "bytes": [b"kind|<f8|" + P[0].tobytes()],
        "text": ValueError(f"a sum of {P[0, 0]}"),
        "method": Leaky().labels,
        "base of an array": P.view(np.int64)[:1],
    }
    assert leaks(numbers_in(hidden[name]))


class Broken(Known):
    def answers(self, inputs):
        found = probabilities_of(inputs)
        raise TargetError(f"Expected a sum of 1, found {found[0, 0]!r} for record 1.")


class Loud(Known):
    def answers(self, inputs):
        raise ValueError(f"p = {probabilities_of(inputs)[0, 0]}")


def error_of(target, inputs=X, records=RECORDS):
    try:
        target.labels(inputs, records)
    except TargetError as error:
        return error
    raise AssertionError("answered")


@pytest.mark.parametrize("model", [Broken, Loud])
def test_no_probability_is_in_the_error_that_a_label_only_attack_sees(model):
    meter = Meter(model(), Ledger(None, 30))
    error = error_of(MeteredLabels(meter, "attack"))
    assert "did not answer" in str(error)
    assert error.__cause__ is error.__context__ is None
    assert len(list(traceback.walk_tb(error.__traceback__))) > 1  # there is a frame beside this test's
    assert not leaks(numbers_in(error))
    assert leaks(numbers_in(meter.failure))  # whoever runs the audit learns it


def test_a_budget_error_says_what_is_missing_and_no_answer_that_is_kept():
    meter = Meter(Known(), Ledger(None, 30, budget=30), keep=True)
    target = MeteredLabels(meter, "attack")
    target.labels(X, RECORDS)
    error = error_of(target, np.concatenate([X[:29], X[:1] + 1]))
    assert isinstance(error, BudgetError)
    assert "found 30, of which 30 are spent" in str(error)
    assert meter.failure is None
    assert not leaks(numbers_in(error))


def test_a_view_is_copied_by_identity_and_stays_in_its_process():
    target = MeteredLabels(Meter(Known(), Ledger(None, 30)), "attack")
    assert copy.deepcopy([target])[0] is copy.copy(target) is target
    with pytest.raises(UnsupportedModelError, match="asked in its own process"):
        pickle.dumps(target)


def test_an_attack_on_confidences_does_not_hold_the_model_either():
    meter = Meter(White(), Ledger(None, 30))
    held = [part for part in parts_of(MeteredConfidences(meter, "attack")) if not callable(part)]
    assert held == [3]


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
    assert isinstance(far, RemoteModel)
    assert far.identity == Far.identity
    assert not isinstance(labels_only(Known()), RemoteModel)
    assert not hasattr(labels_only(White()), "gradient_norms")


def test_confidences_are_refused_where_there_are_labels_only():
    meter = Meter(labels_only(Known()), Ledger(None, 30))
    with pytest.raises(TargetError, match="number per class, found predicted labels"):
        MeteredConfidences(meter, "attack").answers(X, RECORDS)
    confident = MeteredConfidences(Meter(Known(), Ledger(None, 30)), "attack").answers(X, RECORDS)
    assert isinstance(confident, Probabilities)
    gc.collect()  # unclosed files would be noticed here
