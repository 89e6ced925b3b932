"""From a p-value and a bound to VALID, LIMITED or CONFOUNDED, and to a check with its remedy."""

from vestige.core.result import Check, Validity

CONFOUNDED_AUC = 0.55
"""A guess that never sees the model and is better than this, with 95 % confidence, could explain an attack."""

DRAW_FROM_ONE_POOL = (
    "Draw members and nonmembers at random from one pool of records and train on the members, so that nothing but "
    "training tells them apart; where that cannot be done, audit the training recipe instead of this one model "
    "(vestige.audit_recipe, or an AUDIT.toml without [target])."
)
"""What to do about sides that can be told apart without the model."""


def judge(p_value: float, level: float, size: float, tolerated: float = CONFOUNDED_AUC) -> Validity:
    """Judge what is tested: is it more than chance, and if so, is it large enough to explain an attack?

    The size is a lower bound of the area of a blind guess, unless another one is tolerated.

    Example:
        >>> [str(judge(p, 0.01, lb)) for p, lb in [(0.2, 0.6), (0.001, 0.53), (0.001, 0.6)]]
        ['VALID', 'LIMITED', 'CONFOUNDED']
    """
    if p_value >= level:
        return Validity.VALID
    return Validity.CONFOUNDED if size > tolerated else Validity.LIMITED


def judged(name: str, validity: Validity, message: str, wrong: str, cure: str) -> Check:
    """A check that says what was seen, and where something is wrong also what, and its cure.

    Example:
        >>> judged("sizes", Validity.VALID, "10 records", ": too few", "Bring more.").message
        '10 records.'
    """
    if validity is Validity.VALID:
        return Check(name, Validity.VALID, f"{message}.")
    return Check(name, validity, f"{message}{wrong}.", cure)
