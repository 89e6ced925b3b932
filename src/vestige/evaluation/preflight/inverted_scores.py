"""Do members score lower than nonmembers? Then `member` may be coded the other way round."""

from collections.abc import Mapping

from vestige.core.result import Check, Validity
from vestige.evaluation.preflight.mann_whitney import mann_whitney
from vestige.evaluation.roc import Roc

LEVEL = 0.005
"""Honest audits flagged at most; shared by all attacks. A swapped column is far beyond any level."""

CONFOUNDED_AUC = 0.45
"""An AUC that is surely below this is no accident of one attack."""


def inverted_scores(rocs: Mapping[str, Roc]) -> Check:
    """Test every attack's AUC against 0.5 from below.

    Args:
        rocs: The ROC of each attack over units.

    Returns:
        LIMITED if an attack is below chance at `LEVEL` (one-sided rank test, Bonferroni over attacks), CONFOUNDED if
        besides the 95 % upper bound of its AUC is below 0.45.

    Example:
        >>> import numpy as np
        >>> from vestige.evaluation.roc import roc
        >>> scores = np.arange(100.0)
        >>> str(inverted_scores({"loss": roc(scores[:50], scores[50:])}).validity)
        'CONFOUNDED'
    """
    name = "inverted_scores"
    if not rocs:
        return Check(name, Validity.VALID, "No attack was run, so no score can be inverted.")
    tests = {attack: mann_whitney(curve) for attack, curve in rocs.items()}
    attack, worst = min(tests.items(), key=lambda item: item[1].p_below)
    p_value = min(1.0, len(tests) * worst.p_below)
    auc_ub = worst.upper(0.95)
    if p_value >= LEVEL:
        return Check(
            name,
            Validity.VALID,
            f"No attack scores members significantly lower than nonmembers (lowest: {attack}, AUC {worst.auc:.3f}, "
            f"p = {p_value:.2g} over {len(tests)} attacks).",
        )
    return Check(
        name,
        Validity.CONFOUNDED if auc_ub < CONFOUNDED_AUC else Validity.LIMITED,
        f"{attack} scores members lower than nonmembers (AUC {worst.auc:.3f}, 95% upper bound {auc_ub:.3f}, "
        f"p = {p_value:.2g} over {len(tests)} attacks): training made the model no better on its own records.",
        "Is `member` coded the other way round (1 = was trained on), or are the files of members and nonmembers "
        "swapped? If neither, the members are harder records than the nonmembers: draw both from one pool.",
    )
