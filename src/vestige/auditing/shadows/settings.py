"""`ShadowTraining`: what a user says of the models to be trained like the target."""

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vestige.core.errors import InputError
from vestige.core.jobs import Executor
from vestige.core.recipe import Recipe

SAME = "same"
HALF = Fraction(1, 2)

_LARGEST_GROUP = 20  # models that are drawn together at most: of more, a share is better said otherwise
_AS_SAID = 1e-3  # what rounding may have taken from a share, such as 0.833


@dataclass(frozen=True, eq=False)
class ShadowTraining:
    """How models like the target are trained.

    Attributes:
        recipe: How each is trained; `"same"` clones the target, if it is a scikit-learn estimator, with its parameters.
            One of another architecture than the target's is fine, and a weaker adversary: Carlini et al. 2022,
            figure 12, measure what that costs.
        n_models: How many: with a share of 1/2 they come in pairs with complementary training sets, with one of p/q in
            groups of q.
        share: Of the records that each is trained on, such as `"5/6"`, which every record is then in; 1/2 if omitted.
        within: Seconds there are for them; fewer models are trained if these do not fit. None for no limit.
        bank: Folder where models are kept for other runs; VESTIGE_BANK or the user's cache if omitted.
        executor: Who works; the processors of this machine if omitted.
        stop_at_failure: Whether the first model that fails ends the audit, instead of being reported.
    """

    recipe: Recipe | str
    n_models: int = 64
    within: float | None = None
    bank: str | Path | None = None
    executor: Executor | None = None
    stop_at_failure: bool = False
    share: Fraction | str | float = HALF

    def __post_init__(self) -> None:
        if not (isinstance(self.recipe, Recipe) or self.recipe == SAME):
            raise InputError(
                f"Expected a recipe or the word same, found {self.recipe!r}; such as vestige.SklearnRecipe(estimator)."
            )
        object.__setattr__(self, "share", _share(self.share))
        size = self.group_size
        if size == 2 and (self.n_models < 2 or self.n_models % 2):
            raise InputError(
                f"Expected an even number of shadow models, 2 or more, found {self.n_models}; they come in pairs."
            )
        if self.n_models < size or self.n_models % size:
            raise InputError(
                f"Expected a multiple of {size} shadow models for a share of {self.share}, found {self.n_models}; they "
                f"come in groups of {size} in which every record is equally often: take "
                f"{max(1, round(self.n_models / size)) * size}."
            )
        if self.within is not None and not self.within > 0:
            raise InputError(f"Expected a time above 0 s for shadow models, found {self.within:g}.")

    @property
    def fraction(self) -> Fraction:
        """The share, in lowest terms."""
        return _share(self.share)

    @property
    def group_size(self) -> int:
        """Models whose training sets are drawn together."""
        return self.fraction.denominator

    @property
    def seconds(self) -> float:
        """Seconds there are, infinite without a limit."""
        return math.inf if self.within is None else self.within

    def recipe_like(self, target: Any) -> Recipe:
        """Return the recipe; `same` is that of the target.

        Raises:
            InputError: `same`, and the target is no estimator that could be cloned.
        """
        if isinstance(self.recipe, Recipe):
            return self.recipe
        if not (hasattr(target, "get_params") and hasattr(target, "fit")):
            raise InputError(
                f"Expected a scikit-learn estimator as target to train the same, found {type(target).__name__}; give a "
                "recipe."
            )
        from vestige.training.sklearn_recipe import SklearnRecipe

        return SklearnRecipe(target)


def _share(said: Fraction | str | float) -> Fraction:
    try:
        exact = Fraction(said)
    except (ValueError, TypeError, OverflowError, ZeroDivisionError):
        raise InputError(f'Expected a share such as "5/6" or 0.5, found {said!r}.') from None
    found = exact.limit_denominator(_LARGEST_GROUP)
    if not 0 < found < 1 or abs(found - exact) > _AS_SAID:
        raise InputError(
            f"Expected a share of the records between 0 and 1 in parts of {_LARGEST_GROUP} or fewer, found {said}; "
            "such as 5/6."
        )
    return found
