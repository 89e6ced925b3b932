"""Vestige tells how much a trained classifier gives away about the records it was trained on.

    import vestige
    result = vestige.audit(vestige.Predictions(probs, labels, member), run="runs/clinic")
    print(result.finding)

The names here are those that most audits need; `__init__.pyi` says where each one lives, and each is loaded when first
used, so importing the package costs next to nothing. The rest is imported from its room, such as
`from vestige.core.outputs import Logits` or `from vestige.auditing.label_only import NoisyCopies`.
"""

from importlib import import_module
from importlib.metadata import version
from typing import Any

import lazy_loader

_of_stub, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

_ELSEWHERE = {
    "auditing.label_only": {
        "Augmentations", "BoundarySearch", "CombinedDistances", "NoisyCopies", "Rotations", "SettledSearch",
        "Translations",
    },
    "auditing.shadows.auxiliary_references": {"references_by_forgetting", "references_from_scratch"},
    "core.errors": {
        "ArtefactError", "InputError", "OutputError", "RunFolderError", "TargetError", "TrainingError",
        "UnsupportedModelError",
    },
    "core.inputs": {"InputSpace"},
    "core.options": {"Arithmetic", "SubjectScore"},
    "core.outputs": {"GradientNorms", "Logits", "Loss", "Phi", "PredictedLabels", "Probabilities"},
    "core.result": {"AuditResult"},
    "core.views": {"MirrorAndShifts"},
    "report.progress": {"progress_bar"},
    "signals.label_only.noise": {"NoiseStrength"},
    "targets.answer_format": {"AnswerFormat"},
    "targets.http.endpoint": {"Limits"},
    "training.executors.ray_cluster": {"RayCluster"},
    "training.function_recipe": {"FunctionRecipe"},
}  # fmt: skip
"""Names that stood here up to version 0.1: scripts that use them still run, and are told where they are now."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("vestige")
    for room, names in _ELSEWHERE.items():
        if name in names:
            import warnings

            warnings.warn(f"vestige.{name} is vestige.{room}.{name} now.", DeprecationWarning, stacklevel=2)
            return getattr(import_module(f"vestige.{room}"), name)
    try:
        return _of_stub(name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        from vestige.core.errors import UnsupportedModelError
        from vestige.core.extras import installing

        message = f"Expected the package torch for {name}, found none; {installing('torch')}."
        raise UnsupportedModelError(message) from None
