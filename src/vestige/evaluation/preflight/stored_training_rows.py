"""Does the model carry its training rows with it?"""

from collections.abc import Sequence

from vestige.core.messages import brief, few
from vestige.core.result import Check, Validity


def stored_training_rows(found: Sequence[tuple[str, int, int]]) -> Check | None:
    """Say which training rows stand in the model itself.

    Args:
        found: Name of each part that holds rows, how many it holds, and how many of the audited records are among them
            exactly as they are.

    Returns:
        LIMITED, whatever the attacks find: reading the file is worse than any of them. None if no part holds rows.

    Example:
        >>> stored_training_rows([("KNeighborsClassifier", 1200, 120)]).message
        'The model itself holds 1,200 training rows (KNeighborsClassifier); 120 of the audited records stand in it as
        they are.'
    """
    if not found:
        return None
    n_matching = max(n for _, _, n in found)  # several parts may hold the same records
    least = "at least " if len(found) > 1 else ""
    if n_matching:
        which = f"{least}{n_matching:,} of the audited records stand in it as they are."
    else:
        which = "none of the audited records stands in it as it is: the rows are transformed, or are others."
    return Check(
        "stored_training_rows",
        Validity.LIMITED,
        f"The model itself holds {_held(found)}; {which}",
        "Whoever has the file needs no attack: do not release it, release answers only, or train another kind of "
        "model.",
    )


def _held(found: Sequence[tuple[str, int, int]]) -> str:
    if len(found) == 1:
        part, n_rows, _ = found[0]
        return f"{n_rows:,} training rows ({brief(part)})"
    sizes: dict[str, list[int]] = {}
    for part, n_rows, _ in found:
        sizes.setdefault(brief(part), []).append(n_rows)
    parts = [
        f"{n[0]:,} in {part}" if len(n) == 1 else f"up to {max(n):,} in each of {len(n):,} {part}"
        for part, n in sizes.items()
    ]
    return f"training rows ({few(parts, 5)})"
