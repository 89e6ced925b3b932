"""Carlini et al. 2022, LiRA: how the networks of its demonstration and of its Fig. 12 are trained.

The text at hand holds neither; the demonstration is from the authors' published code, the pretrained models are Phan's.
"""

import functools

import torch

from vestige.papers.augmentations import FilledCrop, InTurn, Mirror, ReflectedCrop
from vestige.papers.inputs import CIFAR10_MEAN, CIFAR10_STD, black, from_minus_one_to_one, standardised
from vestige.papers.networks.resnet import ResNet18
from vestige.papers.networks.wide_resnet import WideResNet
from vestige.papers.optimisers import WeightsOnlyDecay
from vestige.papers.schedules import HalfCosine, SteepCosine
from vestige.training.torch_recipe import TorchRecipe


def wrn_recipe(n_classes: int = 10, *, width: int = 2, epochs: int = 100) -> TorchRecipe:
    """Return how the demonstration trains a WRN-28 on CIFAR: about 91 % test accuracy at width 2, from 25,000 images.

    Args:
        n_classes: Outputs.
        width: 2; 1 and 10 besides in the code.
        epochs: 100 as in the description of the demonstration; the code's own default is 501.

    Source:
        Carlini et al.'s code: SGD with momentum 0.9, 0.1 · cos(7π/16 · progress) with a linear warm-up over the first
        hundredth, 5e-4 · ½‖w‖² on weights, batches of 256, inputs in [-1, 1], mirrored and shifted by up to 4 pixels
        with reflection. Deviations: its batches run on from one epoch into the next, so that all have 256 images; here
        the last of an epoch may be smaller. It keeps a moving average (0.999) of the weights, for its printed test
        accuracy only; the attack asks the raw ones, and so does everybody here. It asks them in training mode;
        `replace(wrn_recipe(), evaluation_mode=False)` repeats that.
    """
    network = functools.partial(WideResNet, n_classes, width=width)
    return TorchRecipe(
        network,
        epochs=epochs,
        batch_size=256,
        optimiser=WeightsOnlyDecay(network, learning_rate=0.1, decay=5e-4),
        schedule=SteepCosine(warm_up=0.01),
        augment=InTurn((Mirror(), ReflectedCrop(4))),
        preprocess=from_minus_one_to_one,
    )


def resnet18_recipe(n_classes: int = 10, *, n_filters: int = 64, epochs: int = 100) -> TorchRecipe:
    """Return a training of ResNet-18 as of the pretrained models that Fig. 12 attacks: 93 % test accuracy, from 50,000.

    Args:
        n_classes: Outputs.
        n_filters: Of the first layer; fewer than 64 make a smaller network than the paper's.
        epochs: 100 in Phan's code.

    Source:
        Carlini et al., section on pretrained models, and the code of Phan, its reference 51: SGD with Nesterov's
        momentum 0.9, learning rate 0.01, decay 0.01 of all parameters, batches of 256, mirrored and shifted by up to 4
        pixels with black, standardised. The warm-up over 30 % of training before the half cosine is recalled, not
        checked.
        Deviation: Phan leaves out the last batch of an epoch; here it is smaller.
    """
    return TorchRecipe(
        functools.partial(ResNet18, n_classes, n_filters=n_filters),
        epochs=epochs,
        batch_size=256,
        optimiser=functools.partial(torch.optim.SGD, lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.01),
        schedule=HalfCosine(warm_up=0.3),
        augment=InTurn((FilledCrop(black(CIFAR10_MEAN, CIFAR10_STD), padding=4), Mirror())),
        preprocess=functools.partial(standardised, mean=CIFAR10_MEAN, std=CIFAR10_STD),
    )
