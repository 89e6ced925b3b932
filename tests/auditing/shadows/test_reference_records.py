"""Reference records of a defence that trains are never audited, nor trained on."""

from dataclasses import replace

import numpy as np
import pytest
from tests.auditing.small_models import table, torch_recipe

from vestige import ShadowTraining, audit, audit_recipe
from vestige.auditing.comparison.compare import compare_defences
from vestige.core.errors import InputError
from vestige.training.adversarial_regularisation import AdversarialRegularisation

RECORDS, OTHERS = table(60, seed=1), table(60, seed=2)


def training(reference):
    recipe = AdversarialRegularisation(torch_recipe(epochs=1), reference, strength=1.0)
    return ShadowTraining(recipe, n_models=8)


def with_ids(records, first):
    return replace(records, ids=np.arange(first, first + records.n_records))


def test_records_of_the_audit_are_refused():
    some = RECORDS.take(np.arange(5))
    with pytest.raises(InputError, match="Expected reference records that are not audited, found 5 with the inputs"):
        audit_recipe(RECORDS, training(some))
    model = torch_recipe(epochs=1).fit(RECORDS, seed=0).classifier
    with pytest.raises(InputError, match="Expected reference records that are not audited, found 5 with the inputs"):
        audit(model, RECORDS, OTHERS, adversary=training(some))
    with pytest.raises(InputError, match="Expected reference records that are not audited, found 5 with the inputs"):
        compare_defences(
            RECORDS, ShadowTraining(torch_recipe(epochs=1), n_models=6), {"adversarial": training(some).recipe}
        )


def test_by_id_where_there_are_ids():
    with pytest.raises(InputError, match="Expected reference records that are not audited, found 10 records that are"):
        audit_recipe(with_ids(RECORDS, 0), training(with_ids(OTHERS, 50)))
