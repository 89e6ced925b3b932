"""Tables of scores without labels: of the audited model, and of reference models that never saw the records.

The columns are those of PrivacyGuard: `score_orig`, and `score_mean` and `score_std`, or `score_ref_0` and so on.
"""

from collections.abc import Sequence

import numpy as np

from vestige.core.outputs import Phi
from vestige.core.predictions import Predictions
from vestige.core.references import References
from vestige.data.formats.files import TABLES, TableSource, format_of
from vestige.data.predictions.columns import Columns
from vestige.data.predictions.membership import members_of

_OF_REFERENCE, _MOMENTS = "score_ref_", ("score_mean", "score_std")
_MOST = 30.0  # a larger confidence is rounded to certainty


def read_scores(path: TableSource, columns: Columns) -> tuple[Predictions, References | None] | None:
    """Read a table of scores, higher for members, as confidences of one class; None if it is no such table.

    Args:
        path: CSV, Parquet or JSON lines, or a frame, without labels, with `score_orig` (or `score` or `phi`, and no
            column of another kind). With `score_mean` and `score_std` the score is the offline likelihood ratio
            `(score_orig - score_mean) / score_std`; columns `score_ref_...` are models trained on none of the records.
        columns: How its other columns are named.

    Raises:
        InputError: It cannot be read, or does not say who is a member.
    """
    from vestige.data.formats.table import Table, open_tables, require_columns

    if format_of(path) not in TABLES:
        return None
    (file,) = open_tables([path], columns.member)
    score = _score_column(file.names, columns)
    if score is None:
        return None
    require_columns(file, columns.wanted(member=True) | {"with --label": None})
    columns = columns.with_those_in(file.names)
    of_references = [name for name in file.names if name.startswith(_OF_REFERENCE)]
    has_moments = not of_references and set(_MOMENTS) <= set(file.names)
    numeric = [score, *of_references, *(_MOMENTS if has_moments else ())]
    text = [columns.member, columns.id, columns.subject, *columns.groups, *columns.order]
    table = Table([file], numeric, list(dict.fromkeys(name for name in text if name is not None)))
    member, said = members_of(table, columns.member)
    scores, what = table.numbers(score).astype(np.float64), score
    if has_moments:
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = (scores - table.numbers(_MOMENTS[0])) / table.numbers(_MOMENTS[1])
        what = f"({score} - score_mean) / score_std"
    answers = np.stack([table.numbers(name) for name in of_references]).astype(np.float64) if of_references else None
    finite = np.abs([scores, *(() if answers is None else answers)])
    divisor = max(1.0, float(finite[np.isfinite(finite)].max(initial=0.0)) / _MOST)
    scaled = f" / {divisor:.4g}" if divisor > 1 else ""
    notes = [f"Read: {what}{scaled} as the confidence in one class, higher for members."]
    if answers is not None:
        notes.append(f"Read: {len(answers)} columns {_OF_REFERENCE}... as models trained on none of the records.")
    about = table.about(columns)
    about["ids"] = np.arange(1, member.size + 1) if about["ids"] is None else about["ids"]
    about["notes"] = (*notes, *said, *table.notes({*numeric, *(name for name in text if name)}))
    target = Predictions(Phi(scores / divisor), np.zeros(member.size, dtype=np.int64), member, **about)
    if answers is None:
        return target, None
    return target, References(Phi, answers / divisor, np.zeros(answers.shape, dtype=bool), ids=about["ids"])


def _score_column(names: Sequence[str], columns: Columns) -> str | None:
    """The column of scores; a bare `score` beside other columns could be a probability beside its label."""
    if columns.label in names or columns.positive is not None:
        return None
    if "score_orig" in names:
        return "score_orig"
    known = {columns.member, columns.id or "id", columns.subject or "subject", *columns.groups, *columns.order, ""}
    others = [name for name in names if name not in known and not name.startswith(_OF_REFERENCE)]
    return others[0] if others in (["score"], ["phi"]) else None
