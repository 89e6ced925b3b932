"""Could a difference between members and nonmembers come from something other than the model?

One check per file, each a pure function returning a `Check` with its numbers, also where nothing is wrong. What a check
says never depends on the order of the rows. Those that test a hypothesis each flag at most their `LEVEL` of honest
random splits: `blind_inputs` 1 %; `blind_labels`, `blind_order`, `inverted_scores`, `masked_answers` and
`reference_counts` 0.5 % each; `shadow_training` 0.3 %, `duplicates` 0.2 % and 0.1 % (repeats within a side),
`equal_predictions` and `records_per_subject` 0.2 % each, `accuracy_below_chance`, `promised_privacy` (of
the target, and of every model in turn),
`reference_membership` and `unrecognised_classes` 0.1 % each: faults that the last ones look for are far beyond any
level. All together flag at most 5 %, where all are run; others count.
"""

from vestige.evaluation.preflight.accuracy_below_chance import accuracy_below_chance
from vestige.evaluation.preflight.blind_inputs import blind_inputs
from vestige.evaluation.preflight.blind_labels import blind_labels
from vestige.evaluation.preflight.blind_order import blind_order
from vestige.evaluation.preflight.constant_answers import constant_answers
from vestige.evaluation.preflight.duplicates import duplicates
from vestige.evaluation.preflight.equal_predictions import equal_predictions
from vestige.evaluation.preflight.inverted_scores import inverted_scores
from vestige.evaluation.preflight.masked_answers import masked_answers, n_classes_told
from vestige.evaluation.preflight.promised_privacy import promised_privacy
from vestige.evaluation.preflight.records_per_subject import records_per_subject
from vestige.evaluation.preflight.reference_counts import reference_counts
from vestige.evaluation.preflight.reference_membership import reference_membership
from vestige.evaluation.preflight.rounded_probabilities import rounded_probabilities
from vestige.evaluation.preflight.row_hashes import row_hashes
from vestige.evaluation.preflight.shadow_overlap import shadow_overlap
from vestige.evaluation.preflight.shadow_training import behaviour, shadow_training
from vestige.evaluation.preflight.sizes import sizes
from vestige.evaluation.preflight.stored_training_rows import stored_training_rows
from vestige.evaluation.preflight.subjects_on_both_sides import subjects_on_both_sides
from vestige.evaluation.preflight.unrecognised_classes import unrecognised_classes

__all__ = [
    "accuracy_below_chance",
    "behaviour",
    "blind_inputs",
    "blind_labels",
    "blind_order",
    "constant_answers",
    "duplicates",
    "equal_predictions",
    "inverted_scores",
    "masked_answers",
    "n_classes_told",
    "promised_privacy",
    "records_per_subject",
    "reference_counts",
    "reference_membership",
    "rounded_probabilities",
    "row_hashes",
    "shadow_overlap",
    "shadow_training",
    "sizes",
    "stored_training_rows",
    "subjects_on_both_sides",
    "unrecognised_classes",
]
