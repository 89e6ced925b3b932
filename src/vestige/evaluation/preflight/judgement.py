"""From a p-value and a bound to VALID, LIMITED or CONFOUNDED."""

from vestige.core.result import Validity

CONFOUNDED_AUC = 0.55
"""A guess that never sees the model and is better than this, with 95 % confidence, could explain an attack."""


def judge(p_value: float, level: float, auc_lb: float) -> Validity:
    """Judge a blind guess: is it better than chance, and if so, is it good enough to explain an attack?

    Example:
        >>> [str(judge(p, 0.01, lb)) for p, lb in [(0.2, 0.6), (0.001, 0.53), (0.001, 0.6)]]
        ['VALID', 'LIMITED', 'CONFOUNDED']
    """
    if p_value >= level:
        return Validity.VALID
    return Validity.CONFOUNDED if auc_lb > CONFOUNDED_AUC else Validity.LIMITED
