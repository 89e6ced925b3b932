"""Carlini et al. 2022: rows of their figures and of the released demonstration."""

import functools

from vestige.papers.reproduction.row import Paper, not_built

_not_built = functools.partial(not_built, Paper.CARLINI)


ROWS = (
    _not_built("headline", "the online likelihood ratio with 256 models", "cifar10", 8.0),
    _not_built("headline", "the online likelihood ratio with 256 models", "cifar100", 8.0),
    _not_built("demo", "16 models of the released demonstration, the last one the target", "cifar10", 0.7),
    _not_built("figure12", "shadow models of another architecture than the target's", "cifar10", 50.0),
    _not_built("figure13", "records that do not belong, inserted", "cifar10", 2.0),
    _not_built("conclusion", "defences, DP with vacuous epsilon, labels, gradients and earlier models at low rates"),
)
