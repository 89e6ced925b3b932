"""`ShadowTraining`: what a user says of the models to be trained like the target."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vestige.core.errors import InputError
from vestige.core.jobs import Executor
from vestige.core.recipe import Recipe

SAME = "same"


@dataclass(frozen=True, eq=False)
class ShadowTraining:
    """How models like the target are trained.

    Attributes:
        recipe: How each is trained; `"same"` clones the target, if it is a scikit-learn estimator, with its parameters.
        n_models: How many, even: they come in pairs with complementary training sets.
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

    def __post_init__(self) -> None:
        if not (isinstance(self.recipe, Recipe) or self.recipe == SAME):
            raise InputError(
                f"Expected a recipe or the word same, found {self.recipe!r}; such as vestige.SklearnRecipe(estimator)."
            )
        if self.n_models < 2 or self.n_models % 2:
            raise InputError(
                f"Expected an even number of shadow models, 2 or more, found {self.n_models}; they come in pairs."
            )
        if self.within is not None and not self.within > 0:
            raise InputError(f"Expected a time above 0 s for shadow models, found {self.within:g}.")

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
