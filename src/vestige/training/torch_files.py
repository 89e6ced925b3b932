"""A torch model as files: safetensors for the weights, JSON for the rest. Nothing is pickled."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from vestige.core.errors import ArtefactError, UnsupportedModelError
from vestige.core.messages import brief, few
from vestige.core.recipe import Model
from vestige.training.classifier import global_stream, seed_of

if TYPE_CHECKING:
    from vestige.training.torch_recipe import TorchRecipe

_DESCRIPTION = "model.json"


def dump(model: Model) -> dict[str, bytes]:
    """Return the files of a model and of its checkpoints.

    Raises:
        UnsupportedModelError: A network keeps something beside tensors.
    """
    from safetensors.torch import save

    description = {
        "n_classes": model.n_classes,
        "seed": model.seed,
        "epochs": [m.epoch for m in (*model.checkpoints, model)],
        "history": {name: list(values) for name, values in model.history.items()},
    }
    files = {_DESCRIPTION: json.dumps(description).encode()}
    for m in (*model.checkpoints, model):
        files[_weights(m.epoch)] = save(_tensors_of(m.classifier.network))
    return files


def load(recipe: "TorchRecipe", files: Mapping[str, bytes]) -> Model:
    """Return the model of these files.

    Raises:
        ArtefactError: The files are damaged, or the weights are not those of the recipe's network.
    """
    try:
        return _described(recipe, files)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        found = f"{type(error).__name__}: {brief(str(error), 120)}"
        raise ArtefactError(f"Expected the files of a torch model, found damaged or foreign ones: {found}.") from None


def _described(recipe: "TorchRecipe", files: Mapping[str, bytes]) -> Model:
    described = json.loads(files[_DESCRIPTION])
    n_classes, seed = int(described["n_classes"]), int(described["seed"])
    history = {name: tuple(map(float, values)) for name, values in described["history"].items()}
    *earlier, last = described["epochs"]
    checkpoints = tuple(
        Model(
            _classifier(recipe, seed, files[_weights(epoch)]), n_classes, seed, epoch, (),
            {name: values[:epoch] for name, values in history.items()},
        )
        for epoch in earlier
    )  # fmt: skip
    return Model(_classifier(recipe, seed, files[_weights(last)]), n_classes, seed, last, checkpoints, history)


def _classifier(recipe: "TorchRecipe", seed: int, weights: bytes) -> torch.nn.Module:
    from safetensors import SafetensorError
    from safetensors.torch import load as tensors_of_bytes

    # What a network draws and does not keep with its weights is drawn again as it was.
    with global_stream(seed_of(seed, "weights")):
        classifier = recipe.new_classifier()
    try:
        classifier.network.load_state_dict(tensors_of_bytes(weights))
    except (RuntimeError, SafetensorError) as error:
        found = brief(" ".join(str(error).split()), 200)
        raise ArtefactError(f"Expected the weights of the recipe's network, found others: {found}") from None
    return classifier.ready()


def _tensors_of(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copies, because tensors that share memory cannot be written."""
    kept = network.state_dict()
    others = [name for name, value in kept.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise UnsupportedModelError(
            f"Expected a network that keeps tensors alone, found {few(others, 3)}; keep such state as buffers."
        )
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in kept.items()}


def _weights(epoch: int) -> str:
    return f"weights-epoch-{epoch}.safetensors"
