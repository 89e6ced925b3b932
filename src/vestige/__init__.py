"""Vestige tells how much a trained classifier gives away about the records it was trained on.

    import vestige
    result = vestige.audit(vestige.Predictions(probs, labels, member), run="runs/clinic")
    print(result.finding)

Everything here is loaded when first used, so importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vestige.auditing.audit import audit
    from vestige.core.errors import InputError, OutputError, RunFolderError, VestigeError
    from vestige.core.options import Arithmetic, Options, SubjectScore
    from vestige.core.outputs import Logits, Loss, Phi, PredictedLabels, Probabilities
    from vestige.core.predictions import Predictions
    from vestige.core.result import AuditResult

__all__ = [
    "Arithmetic",
    "AuditResult",
    "InputError",
    "Logits",
    "Loss",
    "Options",
    "OutputError",
    "Phi",
    "PredictedLabels",
    "Predictions",
    "Probabilities",
    "RunFolderError",
    "SubjectScore",
    "VestigeError",
    "audit",
]

_HOME = {
    "Arithmetic": "vestige.core.options",
    "AuditResult": "vestige.core.result",
    "InputError": "vestige.core.errors",
    "Logits": "vestige.core.outputs",
    "Loss": "vestige.core.outputs",
    "Options": "vestige.core.options",
    "OutputError": "vestige.core.errors",
    "Phi": "vestige.core.outputs",
    "PredictedLabels": "vestige.core.outputs",
    "Predictions": "vestige.core.predictions",
    "Probabilities": "vestige.core.outputs",
    "RunFolderError": "vestige.core.errors",
    "SubjectScore": "vestige.core.options",
    "VestigeError": "vestige.core.errors",
    "audit": "vestige.auditing.audit",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'vestige' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
