"""Choquette-Choo et al. 2021, label-only: its networks and how they are trained.

All but the wide ResNet share one training card (appendix B.1 and the authors' code): Adam with Keras' defaults, batches
of 100, until the training loss has improved by less than 0.005 in 20 epochs, at most 1,000 epochs; images divided by
255. First weights are Keras' default as well.
"""

import functools
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from vestige.papers.augmentations import Cutout, InTurn, Mirror, ReflectedCrop
from vestige.papers.inputs import ADULT_MEAN, ADULT_STD, first_standardised, from_minus_one_to_one
from vestige.papers.networks.convolutional import four_convolutions
from vestige.papers.networks.initialisation import glorot_uniform
from vestige.papers.networks.perceptron import perceptron
from vestige.papers.networks.wide_resnet import FIXMATCH, WideResNet
from vestige.papers.optimisers import WeightsOnlyDecay
from vestige.papers.schedules import SteepCosine
from vestige.training.stopping import LossPlateau
from vestige.training.torch_recipe import TorchRecipe

KerasAdam = functools.partial(torch.optim.Adam, lr=1e-3, eps=1e-7)
"""Adam with Keras' defaults: torch's own `eps` is 1e-8."""


def purchase_network(*, n_features: int = 600, dropout: float = 0.0) -> nn.Sequential:
    """Return the network of Purchase100, 600-128-100 with tanh: 89,828 parameters.

    Args:
        n_features: Inputs.
        dropout: Share left out of the inputs and of every hidden layer: Choquette-Choo et al.'s defence.

    Source:
        Choquette-Choo et al., appendix B.1.
    """
    return _tanh_network(n_features, 1, 100, dropout)


def texas_network(*, n_features: int = 6169, dropout: float = 0.0) -> nn.Sequential:
    """Return the network of Texas100, 6169-128-128-100 with tanh: 819,172 parameters.

    Args:
        n_features: Inputs; the authors' loader loses one, which leaves 6,168.
        dropout: As in `purchase_network`.

    Source:
        Choquette-Choo et al., appendix B.1.
    """
    return _tanh_network(n_features, 2, 100, dropout)


def adult_network(*, n_features: int = 107, dropout: float = 0.0) -> nn.Sequential:
    """Return the network of Adult, 107-128-128-2 with tanh: 30,594 parameters.

    Args:
        n_features: Inputs, as the table was encoded.
        dropout: As in `purchase_network`.

    Source:
        Choquette-Choo et al., appendix B.1; 107 from the code.
    """
    return _tanh_network(n_features, 2, 2, dropout)


def location_network(*, n_features: int = 446, dropout: float = 0.0) -> nn.Sequential:
    """Return the network of Location30, 446-128-128-30 with tanh: 77,598 parameters.

    Args:
        n_features: Inputs.
        dropout: As in `purchase_network`.

    Source:
        Choquette-Choo et al., appendix B.1.
    """
    return _tanh_network(n_features, 2, 30, dropout)


def fixmatch_network(n_classes: int = 10, *, n_channels: int = 3) -> WideResNet:
    """Return the WRN-28-2 of FixMatch: 1,469,642 parameters for 10 classes.

    Its batch normalisation forgets slowly (0.999 a step): before some thousand steps its running statistics are not
    those of the images yet, and answers in evaluation mode are poor.

    Args:
        n_classes: Outputs.
        n_channels: Of the images.

    Source:
        Choquette-Choo et al., appendix B.1 (1.4 million parameters); details from FixMatch's code.
    """
    return WideResNet(n_classes, depth=28, width=2, n_channels=n_channels, form=FIXMATCH)


def small_fixmatch_network(n_classes: int = 10) -> WideResNet:
    """Return a wide ResNet of FixMatch's form with 10 layers and 16 to 64 channels: 78,186 parameters for 10 classes.

    Its batch normalisation forgets at 0.1 a step, so that a few hundred steps do.

    Args:
        n_classes: Outputs.

    Source:
        Ours, after `fixmatch_network`, for processors.
    """
    return WideResNet(n_classes, depth=10, width=1, form=replace(FIXMATCH, norm_momentum=0.1))


def purchase_recipe(*, dropout: float = 0.0) -> TorchRecipe:
    """Return how the Purchase100 network is trained; 10,000 records in Table 2.

    Args:
        dropout: As in `purchase_network`.

    Source:
        See the module.
    """
    return _recipe(functools.partial(purchase_network, dropout=dropout))


def texas_recipe(*, dropout: float = 0.0) -> TorchRecipe:
    """Return how the Texas100 network is trained; 10,000 records in Table 2.

    Args:
        dropout: As in `purchase_network`.

    Source:
        See the module.
    """
    return _recipe(functools.partial(texas_network, dropout=dropout))


def adult_recipe(*, n_features: int = 107, dropout: float = 0.0, scaled: bool = True) -> TorchRecipe:
    """Return how the Adult network is trained; 10,000 records in Table 2.

    Args:
        n_features: As in `adult_network`.
        dropout: As in `purchase_network`.
        scaled: Whether the model standardises the first 6 columns, by their means and deviations over all of Adult.
            Records keep their units either way, as those of Choquette-Choo et al.'s noise do.

    Source:
        See the module. No scaling is published. Table 2's gap attack, 58.7 %, says that there was one: with it the gap
        came to 58.7 % here (0.988 in training, 0.814 in test), without it to 49.9 % (0.774, 0.777), because tanh is
        saturated by weights of 100,000. One split, one seed.
    """
    recipe = _recipe(functools.partial(adult_network, n_features=n_features, dropout=dropout))
    scaling = functools.partial(first_standardised, mean=ADULT_MEAN, std=ADULT_STD)
    return replace(recipe, preprocess=scaling) if scaled else recipe


def location_recipe(*, dropout: float = 0.0) -> TorchRecipe:
    """Return how the Location30 network is trained; 1,600 records in Table 2.

    Args:
        dropout: As in `purchase_network`.

    Source:
        See the module. The gap attack came to 71.7 % here (Table 2: 72.1 %), after 73 epochs.
    """
    return _recipe(functools.partial(location_network, dropout=dropout))


def cifar_recipe(n_classes: int = 10, *, dropout: float = 0.0) -> TorchRecipe:
    """Return how the CNN is trained on CIFAR-10 (2,500 images in most figures) or CIFAR-100 (30,000 in Table 1).

    Args:
        n_classes: 10 or 100.
        dropout: Share left out after the second pooling and after the layer of 512; 0.8 and 0.9 in Fig. 11.

    Source:
        See the module.
    """
    return _recipe(functools.partial(four_convolutions, n_classes, dropout=dropout))


def small_cifar_recipe(*, dropout: float = 0.0) -> TorchRecipe:
    """Return how a CNN of a quarter of the channels and an eighth of the last width is trained, on a processor.

    41,874 parameters, in batches of 50 until the training loss stops improving, at most 80 epochs.

    Args:
        dropout: As in `cifar_recipe`.

    Source:
        Ours, after `cifar_recipe`: for figures of Choquette-Choo et al. that train dozens of models.
    """
    network = functools.partial(four_convolutions, 10, dropout=dropout, width=8, hidden=64)
    return replace(_recipe(network), epochs=80, batch_size=50, stop=LossPlateau(improvement=0.005, patience=10))


def mnist_recipe(*, dropout: float = 0.0) -> TorchRecipe:
    """Return how the CNN is trained on MNIST; 1,000 images in Table 1.

    Args:
        dropout: As in `cifar_recipe`.

    Source:
        See the module. The gap attack came to 52.5 % here (Table 1: 53.2 %), after 39 epochs.
    """
    return _recipe(functools.partial(four_convolutions, 10, n_channels=1, size=28, dropout=dropout))


def fixmatch_augmentation(*, upside_down: bool = False) -> InTurn:
    """Return how images are changed in training for Fig. 4; `OnBytes` makes draws of it for label-only queries.

    Args:
        upside_down: As in `fixmatch_recipe`.

    Source:
        See `fixmatch_recipe`.
    """
    return InTurn((Mirror(upside_down=upside_down), ReflectedCrop(4), Cutout(16, fill=0.0)))


def fixmatch_recipe(
    n_classes: int = 10, *, regularised: bool = True, upside_down: bool = False, epochs: int = 200
) -> TorchRecipe:
    """Return how the wide ResNet of Fig. 4 is trained on parts of CIFAR-10: with all regularisations, or with none.

    Args:
        n_classes: Outputs.
        regularised: Whether images are mirrored, shifted by up to 4 pixels and cut out of, and weights decay.
        upside_down: Whether images are mirrored upside down: what "vertical flips" in Choquette-Choo et al. would mean
            word for word. FixMatch, which Choquette-Choo et al. say it takes over without modification, mirrors left
            and right.
        epochs: Not published. FixMatch itself goes on for 67 million images.

    Source:
        Choquette-Choo et al., section 6.1: flips, shifts by up to 4, cutout, decay 0.0005. The rest is FixMatch's code:
        SGD with Nesterov's momentum 0.9, 0.03 · cos(7π/16 · progress), batches of 64, decay of weights only, shifts
        with reflection, grey squares of 16 pixels, inputs in [-1, 1]. Ours: 200 epochs, the labelled loss alone, every
        image cut out of. FixMatch answers with a moving average (0.999) of the weights; here the raw ones do.
    """
    network = functools.partial(fixmatch_network, n_classes)
    return TorchRecipe(
        network,
        epochs=epochs,
        batch_size=64,
        optimiser=WeightsOnlyDecay(network, learning_rate=0.03, decay=5e-4 if regularised else 0.0, nesterov=True),
        schedule=SteepCosine(),
        augment=fixmatch_augmentation(upside_down=upside_down) if regularised else None,
        preprocess=from_minus_one_to_one,
    )


def small_fixmatch_recipe(*, regularised: bool = True, epochs: int = 60) -> TorchRecipe:
    """Return how a small wide ResNet is trained as `fixmatch_recipe` has it.

    Args:
        regularised: As in `fixmatch_recipe`.
        epochs: Of the training.

    Source:
        Ours, after `fixmatch_recipe`, for processors.
    """
    recipe = fixmatch_recipe(regularised=regularised, epochs=epochs)
    optimiser = replace(recipe.optimiser, network=small_fixmatch_network)  # type: ignore[type-var]
    return replace(recipe, network=small_fixmatch_network, optimiser=optimiser)


def _tanh_network(n_features: int, n_layers: int, n_classes: int, dropout: float) -> nn.Sequential:
    return glorot_uniform(perceptron(n_features, (128,) * n_layers, n_classes, activation=nn.Tanh, dropout=dropout))


def _recipe(network: Callable[[], nn.Module]) -> TorchRecipe:
    return TorchRecipe(
        network, epochs=1000, batch_size=100, optimiser=KerasAdam, stop=LossPlateau(improvement=0.005, patience=20)
    )
