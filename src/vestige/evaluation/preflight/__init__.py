"""Could a difference between members and nonmembers come from something other than the model?

One check per file, each a pure function returning a `Check` with its numbers, also where nothing is wrong. The
seven that test a hypothesis (`blind_inputs`, `blind_labels`, `blind_order`, `inverted_scores`,
`accuracy_below_chance`, `reference_counts`, `records_per_subject`) each flag at most their `LEVEL` of honest random
splits, 1 % for the blind guesses, 0.2 % for `records_per_subject` and 0.5 % for the others, and so all checks together
at most 4.7 %; the others count.
"""

from vestige.evaluation.preflight.accuracy_below_chance import accuracy_below_chance
from vestige.evaluation.preflight.blind_inputs import blind_inputs
from vestige.evaluation.preflight.blind_labels import blind_labels
from vestige.evaluation.preflight.blind_order import blind_order
from vestige.evaluation.preflight.duplicates import duplicates
from vestige.evaluation.preflight.equal_predictions import equal_predictions
from vestige.evaluation.preflight.inverted_scores import inverted_scores
from vestige.evaluation.preflight.records_per_subject import records_per_subject
from vestige.evaluation.preflight.reference_counts import reference_counts
from vestige.evaluation.preflight.rounded_probabilities import rounded_probabilities
from vestige.evaluation.preflight.row_hashes import row_hashes
from vestige.evaluation.preflight.shadow_overlap import shadow_overlap
from vestige.evaluation.preflight.sizes import sizes
from vestige.evaluation.preflight.stored_training_rows import stored_training_rows
from vestige.evaluation.preflight.subjects_on_both_sides import subjects_on_both_sides

__all__ = [
    "accuracy_below_chance",
    "blind_inputs",
    "blind_labels",
    "blind_order",
    "duplicates",
    "equal_predictions",
    "inverted_scores",
    "records_per_subject",
    "reference_counts",
    "rounded_probabilities",
    "row_hashes",
    "shadow_overlap",
    "sizes",
    "stored_training_rows",
    "subjects_on_both_sides",
]
