"""Vestige tells how much a trained classifier gives away about the records it was trained on.

    import vestige
    result = vestige.audit(vestige.Predictions(probs, labels, member), run="runs/clinic")
    print(result.finding)

Everything here is loaded when first used, so importing the package costs next to nothing.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vestige.auditing.audit import audit
    from vestige.auditing.label_only.augmentations import Augmentations
    from vestige.auditing.label_only.boundary_search import BoundarySearch
    from vestige.auditing.label_only.combined_distances import CombinedDistances
    from vestige.auditing.label_only.noisy_copies import NoisyCopies
    from vestige.auditing.label_only.rotations import Rotations
    from vestige.auditing.label_only.settled_search import SettledSearch
    from vestige.auditing.label_only.translations import Translations
    from vestige.auditing.querying.settings import Querying
    from vestige.auditing.recipe_audit import audit_recipe
    from vestige.auditing.shadow import Shadow
    from vestige.auditing.shadows.auxiliary_references import references_by_forgetting, references_from_scratch
    from vestige.auditing.shadows.settings import ShadowTraining
    from vestige.core.attack import Attack
    from vestige.core.errors import (
        ArtefactError,
        InputError,
        OutputError,
        RunFolderError,
        TargetError,
        TrainingError,
        UnsupportedModelError,
        VestigeError,
    )
    from vestige.core.inputs import InputSpace
    from vestige.core.likelihood_ratio import LikelihoodRatio
    from vestige.core.options import Arithmetic, Options, SubjectScore
    from vestige.core.outputs import GradientNorms, Logits, Loss, Phi, PredictedLabels, Probabilities
    from vestige.core.predictions import Predictions
    from vestige.core.progress import silent
    from vestige.core.records import Records
    from vestige.core.references import References
    from vestige.core.result import AuditResult
    from vestige.core.views import MirrorAndShifts
    from vestige.report.progress import progress_bar
    from vestige.signals.label_only.noise import NoiseStrength
    from vestige.targets.answer_format import AnswerFormat
    from vestige.targets.files.model_file import ModelFile
    from vestige.targets.http.endpoint import Endpoint, Limits
    from vestige.training.executors.ray_cluster import RayCluster
    from vestige.training.function_recipe import FunctionRecipe
    from vestige.training.sklearn_recipe import SklearnRecipe
    from vestige.training.torch_recipe import TorchRecipe

__all__ = [
    "AnswerFormat",
    "Arithmetic",
    "ArtefactError",
    "Attack",
    "AuditResult",
    "Augmentations",
    "BoundarySearch",
    "CombinedDistances",
    "Endpoint",
    "FunctionRecipe",
    "GradientNorms",
    "InputError",
    "InputSpace",
    "LikelihoodRatio",
    "Limits",
    "Logits",
    "Loss",
    "MirrorAndShifts",
    "ModelFile",
    "NoiseStrength",
    "NoisyCopies",
    "Options",
    "OutputError",
    "Phi",
    "PredictedLabels",
    "Predictions",
    "Probabilities",
    "Querying",
    "RayCluster",
    "Records",
    "References",
    "Rotations",
    "RunFolderError",
    "SettledSearch",
    "Shadow",
    "ShadowTraining",
    "SklearnRecipe",
    "SubjectScore",
    "TargetError",
    "TorchRecipe",
    "TrainingError",
    "Translations",
    "UnsupportedModelError",
    "VestigeError",
    "audit",
    "audit_recipe",
    "progress_bar",
    "references_by_forgetting",
    "references_from_scratch",
    "silent",
]

_HOME = {
    "AnswerFormat": "vestige.targets.answer_format",
    "Arithmetic": "vestige.core.options",
    "ArtefactError": "vestige.core.errors",
    "Attack": "vestige.core.attack",
    "AuditResult": "vestige.core.result",
    "Endpoint": "vestige.targets.http.endpoint",
    "FunctionRecipe": "vestige.training.function_recipe",
    "GradientNorms": "vestige.core.outputs",
    "InputError": "vestige.core.errors",
    "InputSpace": "vestige.core.inputs",
    "LikelihoodRatio": "vestige.core.likelihood_ratio",
    "Limits": "vestige.targets.http.endpoint",
    "Logits": "vestige.core.outputs",
    "Loss": "vestige.core.outputs",
    "MirrorAndShifts": "vestige.core.views",
    "ModelFile": "vestige.targets.files.model_file",
    "Options": "vestige.core.options",
    "OutputError": "vestige.core.errors",
    "Phi": "vestige.core.outputs",
    "PredictedLabels": "vestige.core.outputs",
    "Predictions": "vestige.core.predictions",
    "Probabilities": "vestige.core.outputs",
    "Querying": "vestige.auditing.querying.settings",
    "RayCluster": "vestige.training.executors.ray_cluster",
    "Records": "vestige.core.records",
    "References": "vestige.core.references",
    "RunFolderError": "vestige.core.errors",
    "Shadow": "vestige.auditing.shadow",
    "ShadowTraining": "vestige.auditing.shadows.settings",
    "SklearnRecipe": "vestige.training.sklearn_recipe",
    "SubjectScore": "vestige.core.options",
    "TargetError": "vestige.core.errors",
    "TorchRecipe": "vestige.training.torch_recipe",
    "TrainingError": "vestige.core.errors",
    "UnsupportedModelError": "vestige.core.errors",
    "VestigeError": "vestige.core.errors",
    "audit": "vestige.auditing.audit",
    "audit_recipe": "vestige.auditing.recipe_audit",
    "progress_bar": "vestige.report.progress",
    "silent": "vestige.core.progress",
    "Augmentations": "vestige.auditing.label_only.augmentations",
    "BoundarySearch": "vestige.auditing.label_only.boundary_search",
    "CombinedDistances": "vestige.auditing.label_only.combined_distances",
    "SettledSearch": "vestige.auditing.label_only.settled_search",
    "NoiseStrength": "vestige.signals.label_only.noise",
    "NoisyCopies": "vestige.auditing.label_only.noisy_copies",
    "Rotations": "vestige.auditing.label_only.rotations",
    "Translations": "vestige.auditing.label_only.translations",
    "references_by_forgetting": "vestige.auditing.shadows.auxiliary_references",
    "references_from_scratch": "vestige.auditing.shadows.auxiliary_references",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("vestige")
    if name not in _HOME:
        raise AttributeError(f"module 'vestige' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
