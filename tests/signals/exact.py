"""Twins of the signals that are plainly right: one row at a time, with 400 digits."""

from decimal import Decimal, localcontext

import numpy as np


def exact_phi(logits: np.ndarray, label: int) -> float:
    """`log p_y - log(1 - p_y)` of one row of logits, rounded once."""
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = 400, -(10**15), 10**15
        e = [Decimal(float(v)).exp() for v in logits]
        return float((e[label] / sum(v for i, v in enumerate(e) if i != label)).ln())


def exact_loss(logits: np.ndarray, label: int) -> float:
    """`-log p_y` of one row of logits, rounded once."""
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = 400, -(10**15), 10**15
        e = [Decimal(float(v)).exp() for v in logits]
        return float((sum(e) / e[label]).ln())


def row_by_row(twin, answers, labels):
    """The twin's number for every row, labels laid out by hand over models and queries."""
    out = np.empty(answers.shape[:-1])
    for at in np.ndindex(out.shape):
        record = at[0] if answers.ndim == 2 else at[1]
        out[at] = twin(answers[at], int(labels[record]))
    return out
