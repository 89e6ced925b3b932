"""Can membership be guessed from inputs and labels alone, without the model?"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from vestige.core.result import Check, Validity
from vestige.core.seeds import stream
from vestige.evaluation.preflight.features import Features, encode
from vestige.evaluation.preflight.judgement import DRAW_FROM_ONE_POOL, judge, judged
from vestige.evaluation.preflight.mann_whitney import MannWhitney
from vestige.evaluation.preflight.per_unit import in_order_of_content, sample_units, unit_members, unit_numbers
from vestige.evaluation.preflight.progressive import deal_blocks, progressive_auc
from vestige.evaluation.preflight.row_hashes import mix, row_hashes
from vestige.evaluation.units import rank_within

LEVEL = 0.01
"""Honest random splits flagged at most; shared by the two guessers."""

MAX_UNITS = 20_000
MAX_RECORDS = 40_000


def blind_inputs(
    inputs: Any,
    labels: Int[np.ndarray, " record"],
    member: Bool[np.ndarray, " record"],
    units: Int[np.ndarray, " record"] | None,
    seed: int,
) -> Check:
    """Let gradient-boosted trees and a logistic regression guess membership from what the model was given.

    At most 20,000 units are looked at, the smaller side as whole as it can be, and at most 40,000 of their
    records. They are dealt into six blocks, and each block after the first is scored by guessers that learnt from
    the blocks before it, so that the rank test is right under the null (see `progressive`). A unit's score is the
    mean of its records'.

    Args:
        inputs: Records x anything: an array of any rank, or a DataFrame with numbers, categories, text, dates and
            missing values.
        labels: True class of each record.
        member: Whether each record is a member.
        units: Subject of each record, none on both sides; None if every record is its own.
        seed: Seed of the sample, the blocks and the guessers.

    Returns:
        LIMITED if a guess is better than chance at `LEVEL` (Bonferroni over the two), CONFOUNDED if besides the
        simultaneous 95 % lower bound of its AUC exceeds 0.55.

    Raises:
        InputError: A subject is on both sides.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> member = np.arange(200) < 100
        >>> shifted = rng.normal(size=(200, 3)) + 2.0 * member[:, None]
        >>> str(blind_inputs(shifted, np.zeros(200, dtype=int), member, None, seed=0).validity)
        'CONFOUNDED'

    Source:
        Das, Zhang & Tramèr 2024 (blind baselines), https://arxiv.org/abs/2406.16201.
    """
    import sklearn.ensemble  # noqa: F401  (only libraries that are loaded can be limited)
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    name = "blind_inputs"
    rng = stream(seed, "preflight blind inputs")
    content = row_hashes(inputs) + mix(labels.astype(np.uint64))
    records, number = in_order_of_content(content, member, units)
    sampled = _sample_records(member[records], number, rng)
    records, number = records[sampled], unit_numbers(number[sampled], sampled.size)
    member = member[records]
    blocks = deal_blocks(unit_members(member, number), rng)
    if blocks is None:
        return Check(name, Validity.VALID, "Too few records to guess membership from inputs and labels.")
    with threadpool_limits(1):  # threads that wait for each other took 60 s for 2 s of work where cores are shared
        features = encode(inputs, labels[records], records, seed)
        guesses = {
            "gradient-boosted trees": progressive_auc(_trees(features, member, seed), blocks, member, number),
            "a logistic regression": progressive_auc(_logistic(features, member), blocks, member, number),
        }
    return _judge(name, guesses, n_units=blocks.size, unit="records" if units is None else "subjects")


def _judge(name: str, guesses: dict[str, MannWhitney], n_units: int, unit: str) -> Check:
    k = len(guesses)
    guesser, best = min(guesses.items(), key=lambda item: item[1].p_above)
    p_value, auc_lb = min(1.0, k * best.p_above), best.lower(1 - 0.05 / k)
    validity = judge(p_value, LEVEL, auc_lb)
    message = (
        f"Without the model, {guesser} guess{'es' * guesser.startswith('a ')} membership from inputs and labels with "
        f"an AUC of {best.auc:.3f} (95% lower bound {auc_lb:.3f}, p = {p_value:.2g}, {n_units:,} {unit})"
    )
    return judged(name, validity, message, "", DRAW_FROM_ONE_POOL)


def _sample_records(member: np.ndarray, number: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of the sampled units, at most a fair share of `MAX_RECORDS` for each unit."""
    drawn = sample_units(unit_members(member, number), MAX_UNITS, rng)
    wanted = np.zeros(int(number.max()) + 1, dtype=bool)
    wanted[drawn] = True
    records = rng.permutation(np.flatnonzero(wanted[number]))
    if records.size > MAX_RECORDS:
        records = records[rank_within(number[records]) < max(1, MAX_RECORDS // drawn.size)]
    return np.sort(records)


def _trees(features: Features, member: np.ndarray, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    def score(learn: np.ndarray, judge: np.ndarray) -> np.ndarray:
        leaf = int(np.clip(np.count_nonzero(learn) // 20, 2, 20))  # the default of 20 learns nothing at n = 50
        model = HistGradientBoostingClassifier(
            max_iter=40, max_leaf_nodes=15, min_samples_leaf=leaf, early_stopping=False, random_state=seed % 2**32
        )
        table = features.for_trees[learn]
        known = ~np.isnan(table).all(axis=0)  # the trees refuse a column without any number; labels have one each
        model.fit(table[:, known], member[learn])
        return np.asarray(model.decision_function(features.for_trees[judge][:, known]))

    return score


def _logistic(features: Features, member: np.ndarray) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    def score(learn: np.ndarray, judge: np.ndarray) -> np.ndarray:
        model = LogisticRegression(max_iter=100)
        with warnings.catch_warnings():  # a guess need not converge to be a guess
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features.for_logistic[learn], member[learn])
        return np.asarray(model.decision_function(features.for_logistic[judge]))

    return score
