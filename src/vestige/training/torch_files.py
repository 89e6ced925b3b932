"""A torch model as files: safetensors for the weights, JSON for the rest. Nothing is pickled."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from vestige.core.errors import ArtefactError
from vestige.core.recipe import Model

if TYPE_CHECKING:
    from vestige.training.torch_recipe import TorchRecipe

_DESCRIPTION = "model.json"


def dump(model: Model) -> dict[str, bytes]:
    """Return the files of a model and of its checkpoints."""
    from safetensors.torch import save

    description = {
        "n_classes": model.n_classes,
        "seed": model.seed,
        "epochs": [m.epoch for m in (*model.checkpoints, model)],
        "history": {name: list(values) for name, values in model.history.items()},
    }
    files = {_DESCRIPTION: json.dumps(description).encode()}
    for m in (*model.checkpoints, model):
        weights = {name: t.detach().cpu().contiguous().clone() for name, t in m.classifier.network.state_dict().items()}
        files[_weights(m.epoch)] = save(weights)
    return files


def load(recipe: "TorchRecipe", files: Mapping[str, bytes]) -> Model:
    """Return the model of these files.

    Raises:
        ArtefactError: The weights are not those of the recipe's network.
    """
    described = json.loads(files[_DESCRIPTION])
    history = {name: tuple(values) for name, values in described["history"].items()}
    *earlier, last = described["epochs"]

    def model(epoch: int, checkpoints: tuple[Model, ...]) -> Model:
        cut = {name: values[:epoch] for name, values in history.items()}
        classifier = _classifier(recipe, files[_weights(epoch)])
        return Model(classifier, described["n_classes"], described["seed"], epoch, checkpoints, cut)

    return model(last, tuple(model(epoch, ()) for epoch in earlier))


def _classifier(recipe: "TorchRecipe", weights: bytes) -> torch.nn.Module:
    from safetensors.torch import load as tensors_of_bytes

    with torch.random.fork_rng(devices=[]):
        classifier = recipe.new_classifier()
    try:
        classifier.network.load_state_dict(tensors_of_bytes(weights))
    except RuntimeError as error:
        found = " ".join(str(error).split())
        raise ArtefactError(f"Expected the weights of the recipe's network, found others: {found[:200]}") from None
    return classifier.ready()


def _weights(epoch: int) -> str:
    return f"weights-epoch-{epoch}.safetensors"
