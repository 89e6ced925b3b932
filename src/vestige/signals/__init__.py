"""What is observed of a model's answers: pure functions from outputs to one number per record, model and query.

Outputs are arrays whose last axis is the class; whatever stands before it (models, records, queries) is kept. True
labels have to fit the axes before the class as numpy lets shapes fit: labels of records go with models x records x
classes as they are, and as `labels[:, None]` with models x records x queries x classes. Results are float64.
"""

from vestige.signals.losses import losses_from_logits, losses_from_phi, losses_from_probabilities
from vestige.signals.phi import phi_from_logits, phi_from_probabilities
from vestige.signals.predicted_labels import predicted_labels

__all__ = [
    "losses_from_logits",
    "losses_from_phi",
    "losses_from_probabilities",
    "phi_from_logits",
    "phi_from_probabilities",
    "predicted_labels",
]
