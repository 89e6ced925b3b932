"""Admitted are classes that known packages define, and functions of what the caller knows; nothing else."""

import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from vestige.core.skops_types import foreign_types


def double(inputs):
    return 2 * inputs


class Own(BaseEstimator):  # type: ignore[misc]
    pass


@pytest.mark.parametrize(
    "name",
    [
        "sklearn.linear_model._logistic.LogisticRegression",
        "xgboost.core.Booster",
        "numpy.float64",
        "numpy.dtype",
        "collections.OrderedDict",
    ],
)
def test_classes_of_known_packages_and_kinds_of_numbers_are_admitted(name):
    assert foreign_types([name]) == []


@pytest.mark.parametrize(
    "name",
    ["os.system", "builtins.eval", "numpy.memmap", "sklearn.utils.os", "sklearn.datasets._base.load_files", "", "a.b"],
)
def test_everything_else_is_foreign(name):
    assert foreign_types([name]) == [name]


def test_what_the_caller_knows_is_admitted_however_deep():
    names = [f"{__name__}.Own", f"{__name__}.double"]
    assert foreign_types(names) == names
    assert foreign_types(names, [make_pipeline(make_pipeline(Own()), FunctionTransformer(double))]) == []
    assert foreign_types([f"{__name__}.double"], [double]) == []
    assert foreign_types([f"{np.__name__}.tanh"], [Own()]) == ["numpy.tanh"]


def test_no_program_and_no_module_of_numpy_is_imported_to_look_at_a_name():
    names = ["numpy.f2py.__main__.main", "sklearn.__main__.main", "numpy.f2py.crackfortran.Path"]
    loaded = set(sys.modules)
    assert foreign_types(names) == names
    assert not {name for name in set(sys.modules) - loaded if name.startswith("numpy.f2py")}
