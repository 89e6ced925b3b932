"""The names that most audits need; `from vestige.ROOM import NAME` has the rest."""

from .auditing.audit import audit
from .auditing.querying.settings import Querying
from .auditing.recipe_audit import audit_recipe
from .auditing.shadow import Shadow
from .auditing.shadows.settings import ShadowTraining
from .core.attack import Attack
from .core.errors import VestigeError
from .core.likelihood_ratio import LikelihoodRatio
from .core.options import Options
from .core.predictions import Predictions
from .core.progress import silent
from .core.records import Records
from .core.references import References
from .targets.files.model_file import ModelFile
from .targets.http.endpoint import Endpoint
from .training.sklearn_recipe import SklearnRecipe
from .training.torch_recipe import TorchRecipe

__version__: str
_ELSEWHERE: dict[str, set[str]]

__all__ = [
    "Attack",
    "Endpoint",
    "LikelihoodRatio",
    "ModelFile",
    "Options",
    "Predictions",
    "Querying",
    "Records",
    "References",
    "Shadow",
    "ShadowTraining",
    "SklearnRecipe",
    "TorchRecipe",
    "VestigeError",
    "audit",
    "audit_recipe",
    "silent",
]
