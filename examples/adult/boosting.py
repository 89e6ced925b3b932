"""A boosting Pipeline on the Adult census: who of its 8,000 training records does it give away?"""

from functools import cache

import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from vestige import Records
from vestige.data import load

N = 8000  # members, and as many nonmembers, drawn at random from one pool


@cache
def split() -> tuple[Records, Records]:
    records = load("adult")
    drawn = np.random.default_rng(0).permutation(records.n_records)[: 2 * N]
    return records.take(drawn[:N]), records.take(drawn[N:])


def members() -> Records:
    return split()[0]


def nonmembers() -> Records:
    return split()[1]


@cache
def model() -> Pipeline:
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    categories = make_column_selector(dtype_include="category")
    boosting = HistGradientBoostingClassifier(max_iter=200, learning_rate=0.1, early_stopping=False)
    pipeline = make_pipeline(make_column_transformer((encode, categories), remainder="passthrough"), boosting)
    income = np.array(members().classes)[members().labels]
    return pipeline.fit(members().inputs, income)
