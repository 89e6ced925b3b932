"""Label-only signals in front of a model with a price: what was paid for is never asked again."""

import numpy as np
import pytest
from tests.targets.models import Far, Known

from vestige.core.errors import BudgetError, TargetError
from vestige.core.inputs import InputSpace
from vestige.signals.label_only.noise import NoiseStrength, noise_labels
from vestige.signals.label_only.translations import translation_labels
from vestige.targets.access import MeteredLabels, labels_only
from vestige.targets.ledger import Ledger
from vestige.targets.meter import Meter

INPUTS = np.random.default_rng(0).normal(size=(10, 4))
LABELS, RECORDS = np.arange(10) % 3, np.arange(10)


def ask(interface, ledger, n_draws=30, **options):
    target = MeteredLabels(Meter(labels_only(interface), ledger, keep=True), "noise_robustness")
    strength = NoiseStrength(0.2)
    return noise_labels(target, INPUTS, LABELS, RECORDS, InputSpace(), strength, n_draws, 0, batch_size=50, **options)


def test_a_run_that_died_is_paid_for_the_rest_only_and_ends_with_the_same_answers(tmp_path):
    whole = ask(Far(), Ledger(None, 10))
    ledger = Ledger(tmp_path / "q.sqlite", 10, "m")
    dying = Far(dies_after=5)
    with pytest.raises(TargetError, match="did not answer; the audit says why"):
        ask(dying, ledger)
    ledger.close()
    paid = len(dying.seen)
    assert 0 < paid < 300
    ledger = Ledger(tmp_path / "q.sqlite", 10, "m")
    rest = Far()
    np.testing.assert_array_equal(ask(rest, ledger), whole)
    assert len(rest.seen) == 300 - paid
    more = Far()
    np.testing.assert_array_equal(ask(more, ledger, 40)[:, :30], whole)
    assert len(more.seen) == 100  # ten more of each: the first thirty are there
    assert ledger.spent.n_sent == 400


def test_the_budget_ends_a_signal_before_a_batch_that_it_does_not_cover():
    model, ledger = Known(), Ledger(None, 10, budget=120)
    with pytest.raises(BudgetError):
        ask(model, ledger)
    assert len(model.seen) == 120 - 120 % 30


def test_every_shifted_copy_is_counted_for_its_record():
    images, ledger = np.random.default_rng(1).random((4, 5, 5)), Ledger(None, 4)
    target = MeteredLabels(Meter(labels_only(Known()), ledger), "augmentation_count")
    assert translation_labels(target, images, LABELS[:4], RECORDS[:4], 2).shape == (4, 9)
    assert ledger.per_attack() == {"augmentation_count": 36}
    assert ledger.per_record().tolist() == [9] * 4
