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
    from vestige.auditing.shadow_training import ShadowTraining
    from vestige.core.errors import (
        ArtefactError,
        InputError,
        OutputError,
        RunFolderError,
        TrainingError,
        UnsupportedModelError,
        VestigeError,
    )
    from vestige.core.options import Arithmetic, Options, SubjectScore
    from vestige.core.outputs import Logits, Loss, Phi, PredictedLabels, Probabilities
    from vestige.core.predictions import Predictions
    from vestige.core.records import Records
    from vestige.core.result import AuditResult
    from vestige.training.executors.ray_cluster import RayCluster
    from vestige.training.function_recipe import FunctionRecipe
    from vestige.training.sklearn_recipe import SklearnRecipe
    from vestige.training.torch_recipe import TorchRecipe

__all__ = [
    "Arithmetic",
    "ArtefactError",
    "AuditResult",
    "FunctionRecipe",
    "InputError",
    "Logits",
    "Loss",
    "Options",
    "OutputError",
    "Phi",
    "PredictedLabels",
    "Predictions",
    "Probabilities",
    "RayCluster",
    "Records",
    "RunFolderError",
    "ShadowTraining",
    "SklearnRecipe",
    "SubjectScore",
    "TorchRecipe",
    "TrainingError",
    "UnsupportedModelError",
    "VestigeError",
    "audit",
]

_HOME = {
    "Arithmetic": "vestige.core.options",
    "ArtefactError": "vestige.core.errors",
    "AuditResult": "vestige.core.result",
    "FunctionRecipe": "vestige.training.function_recipe",
    "InputError": "vestige.core.errors",
    "Logits": "vestige.core.outputs",
    "Loss": "vestige.core.outputs",
    "Options": "vestige.core.options",
    "OutputError": "vestige.core.errors",
    "Phi": "vestige.core.outputs",
    "PredictedLabels": "vestige.core.outputs",
    "Predictions": "vestige.core.predictions",
    "Probabilities": "vestige.core.outputs",
    "RayCluster": "vestige.training.executors.ray_cluster",
    "Records": "vestige.core.records",
    "RunFolderError": "vestige.core.errors",
    "ShadowTraining": "vestige.auditing.shadow_training",
    "SklearnRecipe": "vestige.training.sklearn_recipe",
    "SubjectScore": "vestige.core.options",
    "TorchRecipe": "vestige.training.torch_recipe",
    "TrainingError": "vestige.core.errors",
    "UnsupportedModelError": "vestige.core.errors",
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
