"""Do members score lower than nonmembers? Then `member` may be coded the other way round."""

from collections.abc import Collection, Mapping

from vestige.core.result import Check, Validity
from vestige.evaluation.preflight.mann_whitney import MannWhitney, mann_whitney
from vestige.evaluation.roc import Roc

LEVEL = 0.005
"""Honest audits flagged at most; shared by all attacks. A swapped column is far beyond any level."""

_NAME = "inverted_scores"

CONFOUNDED_AUC = 0.45
"""An AUC that is surely below this is no accident of one attack."""


def inverted_scores(rocs: Mapping[str, Roc], without_direction: Collection[str] = ()) -> Check:
    """Test every attack's AUC against 0.5 from below.

    Only scores that rise with the model's confidence in the true class say how members are coded. A leak in the spread
    of the answers puts members below nonmembers for some others, such as a density that falls beside its peak.

    Args:
        rocs: The ROC of each attack over units.
        without_direction: Attacks that do not rise with that confidence (`Attack.monotone`).

    Returns:
        LIMITED if an attack with a direction is below chance at `LEVEL` (one-sided, Bonferroni over all attacks),
        CONFOUNDED if besides the 95 % upper bound of its AUC is below 0.45. LIMITED too if one without is, and no
        attack is above chance at that level: turned round, it recognises members.

    Example:
        >>> import numpy as np
        >>> from vestige.evaluation.roc import roc
        >>> scores = np.arange(100.0)
        >>> upside_down = roc(scores[:50], scores[50:])
        >>> str(inverted_scores({"loss": upside_down}).validity)
        'CONFOUNDED'
        >>> rocs = {"lira_in_only": roc(scores[50:], scores[:50]), "lira_offline_two_sided": upside_down}
        >>> str(inverted_scores(rocs, without_direction=list(rocs)).validity)
        'VALID'
    """
    tests = {attack: mann_whitney(curve) for attack, curve in rocs.items()}
    asked, others = ([a for a in tests if (a in without_direction) is side] for side in (False, True))
    message = "No attack was run whose scores rise with the confidence in the true class, so none can be inverted."
    if asked:
        attack, worst, p_value = _lowest(tests, asked)
        if p_value < LEVEL:
            auc_ub = worst.upper(0.95)
            return Check(
                _NAME,
                Validity.CONFOUNDED if auc_ub < CONFOUNDED_AUC else Validity.LIMITED,
                f"{attack} scores members lower than nonmembers (AUC {worst.auc:.3f}, 95% upper bound {auc_ub:.3f}, "
                f"p = {p_value:.2g} over {len(tests)} attacks): training made the model no better on its own records.",
                "Is `member` coded the other way round (1 = was trained on), or are the files of members and "
                "nonmembers swapped? Are the rows in another order than the labels (a loader that shuffles, answers "
                "grouped by class)? If none of these, the members are harder records than the nonmembers: draw both "
                "from one pool.",
            )
        found = f"{attack}, AUC {worst.auc:.3f}, p = {p_value:.2g} over {len(tests)} attacks"
        message = f"No attack that shows how members are coded scores them significantly lower (lowest: {found})."
    if not others:
        return Check(_NAME, Validity.VALID, message)
    attack, worst, p_value = _lowest(tests, others)
    if p_value >= LEVEL:
        return Check(_NAME, Validity.VALID, message)
    seen = f"{attack} scores members lower than nonmembers (AUC {worst.auc:.3f}, p = {p_value:.2g})"
    if len(tests) * min(test.p_above for test in tests.values()) < LEVEL:
        return Check(_NAME, Validity.VALID, f"{message} {seen}, which says nothing of how members are coded.")
    return Check(
        _NAME,
        Validity.LIMITED,
        f"{seen}, and no attack scores them higher: turned round, it would recognise members.",
        "Is `member` coded the other way round (1 = was trained on)? If not, the model's answers about members vary "
        "more, or less, than those about others: bring reference models that were trained on each record too.",
    )


def _lowest(tests: Mapping[str, MannWhitney], attacks: Collection[str]) -> tuple[str, MannWhitney, float]:
    """The attack that scores members lowest, its test, and the p-value of that over all attacks."""
    attack = min(attacks, key=lambda name: tests[name].p_below)
    return attack, tests[attack], min(1.0, len(tests) * tests[attack].p_below)
