"""What the four papers trained, and how: their networks and training cards, to be reproduced or started from.

P1 is Song & Mittal 2021 (systematic evaluation), P2 Carlini et al. 2022 (LiRA), P3 Choquette-Choo et al. 2021
(label-only), P4 Watson et al. 2022 (difficulty calibration); `p1` to `p4` have a function per training card, which
returns a `TorchRecipe`. To depart from a card use `dataclasses.replace`: `replace(p3.cifar_recipe(), bfloat16=True)`.

`networks/` has the architectures, written here because the usual collections of them bring another torch along;
`augmentations`, `inputs`, `schedules`, `optimisers` and `losses` what the cards are made of. What a paper leaves open
and what differs from its code is said under Source of each card. Networks that a paper took from others with their
weights are not here: P1's DenseNet of CIFAR-100 and ResNet-50 of Car196, P4's ResNet-18 of ImageNet.
"""
