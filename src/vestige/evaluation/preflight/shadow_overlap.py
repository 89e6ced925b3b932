"""Does the shadow model know the target's records?"""

from typing import Any

import numpy as np

from vestige.core.ids import id_texts
from vestige.core.result import Check, Validity
from vestige.evaluation.preflight.judgement import judged


def shadow_overlap(target_ids: Any | None, shadow_ids: Any | None) -> Check | None:
    """Count the shadow's ids that are among the target's.

    Args:
        target_ids: Ids of the audited records, numbers or text; None if they have none.
        shadow_ids: Ids of the shadow model's records; None if they have none.

    Returns:
        LIMITED if an id is in both; None where either side has no ids.

    Example:
        >>> shadow_overlap(["a", "b"], ["b", "c", "d"]).message
        "1 of the shadow model's 3 records are among the 2 audited ones."
    """
    if target_ids is None or shadow_ids is None:
        return None
    target, shadow = id_texts(target_ids), id_texts(shadow_ids)  # 7 in one file is "7" in the other
    n_shared = int(np.count_nonzero(np.isin(shadow, target)))
    return judged(
        "shadow_overlap",
        Validity.LIMITED if n_shared else Validity.VALID,
        f"{n_shared:,} of the shadow model's {shadow.size:,} records are among the {target.size:,} audited ones",
        "",
        "Leave the shared records out of the shadow file: the shadow model's records must be its own.",
    )
