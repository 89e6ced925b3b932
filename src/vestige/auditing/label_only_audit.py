"""The label-only part of an audit: the model is asked again, by labels, with strengths chosen on its shadow models."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vestige.auditing.label_only.findings import LabelQuestion, LabelScores
from vestige.auditing.label_only.scores import label_scores
from vestige.auditing.model_audit import TrainedReferences
from vestige.auditing.querying.asking import Asked, labels_of
from vestige.auditing.querying.settings import Querying
from vestige.auditing.selection import Selection
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.progress import Progress
from vestige.core.result import Check
from vestige.targets.access import predicted_labels


def play_label_only(
    model: Any,
    asked: Asked,
    querying: Querying,
    trained: TrainedReferences | None,
    selection: Selection,
    folder: Path,
    seed: int,
    progress: Progress,
) -> tuple[Asked, LabelScores]:
    """Play the label-only attacks; what was asked before is returned with all queries.

    Raises:
        InputError: A kind of queries does not fit the inputs.
        TargetError: The model does not answer.
        BudgetError: The budget is spent.
        TrainingError: A shadow model is in no bank.
    """
    wanted = {attack.name: attack for attack in selection.attacks if attack.asks_copies}
    shadows = None if trained is None else trained.labels
    with labels_of(model, asked, querying, folder, progress) as view:
        question = LabelQuestion(
            view.target, predicted_of(asked), asked.pool, querying.inputs, shadows, wanted, seed, progress
        )
        found = label_scores(querying.label_only, question)
        queries = None if asked.queries is None else view.queries(asked.queries)
    checks: tuple[Check, ...] = () if trained is None else trained.checks
    found.checks.extend(checks)
    return replace(asked, queries=queries), found


def predicted_of(asked: Asked) -> np.ndarray:
    """Return the class of every record as it is, which was asked before."""
    kinds = (PredictedLabels, Logits, Probabilities)
    answers = next(found for kind in kinds if (found := asked.predictions.output(kind)) is not None)
    return np.asarray(predicted_labels(answers).whole())
