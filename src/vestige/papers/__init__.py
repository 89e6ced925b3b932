"""What the four papers trained, and how: their networks and training cards, to be reproduced or started from.

`song_mittal` (2021, systematic evaluation), `carlini` (2022, the likelihood ratio), `choquette_choo` (2021, label-only)
and `watson` (2022, difficulty calibration) have a function per training card, which returns a `TorchRecipe`. To depart
from a card use `dataclasses.replace`: `replace(choquette_choo.cifar_recipe(), bfloat16=True)`.

`networks/` has the architectures, written here because the usual collections of them bring another torch along;
`augmentations`, `inputs`, `schedules`, `optimisers` and `losses` what the cards are made of. What a paper leaves open
and what differs from its code is said under Source of each card. Networks that a paper took from others with their
weights are not here: the DenseNet of CIFAR-100 and the ResNet-50 of Car196 (Song & Mittal), the ResNet-18 of ImageNet
(Watson et al.).
"""
