"""`FunctionRecipe`: training by a user's own function."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from vestige.core.errors import InputError, TrainingError, UnsupportedModelError
from vestige.core.messages import brief
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.core.sparse import plain as plain_rows
from vestige.training.identity import identity_of, named_function, plain
from vestige.training.sklearn_recipe import dump, load, refuse_options


@dataclass(frozen=True)
class FunctionRecipe:
    """Call a user's `fit(inputs, labels, *, seed)`, which returns a trained model. The labels are codes 0..K-1.

    The model is a scikit-learn estimator, a torch module that gives logits, or a function from inputs to probabilities.
    Models that follow scikit-learn are kept in the bank; others are not, because no safe format is known for them:
    another audit trains them again.

    Attributes:
        function: The function, or its name as `module:function`.
        parameters: Further keyword arguments.
        version: Whatever else decides the result, such as of the packages it calls, and is to make it another recipe.

    Raises:
        InputError: There is no such function.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> recipe = FunctionRecipe(lambda inputs, labels, *, seed: GaussianNB().fit(inputs, labels))
        >>> type(recipe.fit(Records([[0.0], [1.0]], [0, 1]), seed=0).classifier).__name__
        'GaussianNB'
    """

    function: Callable[..., Any] | str
    _: KW_ONLY
    parameters: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.function, str):
            object.__setattr__(self, "function", named_function(self.function))
        if not callable(self.function):
            raise InputError(f"Expected a function fit(inputs, labels, *, seed), found {type(self.function).__name__}.")

    def fit(self, records: Records, *, seed: int, **options: Any) -> Model:
        """Call the function; see `vestige.core.recipe.Recipe.fit`. It has no warm start, epochs or device."""
        refuse_options("a function that trains", options)
        function: Callable[..., Any] = self.function  # type: ignore[assignment]
        name = getattr(function, "__qualname__", type(function).__name__)
        try:
            classifier = function(plain_rows(records.inputs), records.labels, seed=seed, **self.parameters)
        except Exception as error:
            what = f"{type(error).__name__}: {brief(str(error), 300)}"
            raise TrainingError(f"Expected {name} to train on {records.n_records:,} records, found {what}") from error
        if not (hasattr(classifier, "predict_proba") or callable(classifier)):
            raise TrainingError(
                f"Expected {name} to return a model, found {type(classifier).__name__}; return a scikit-learn "
                "estimator, a torch module or a function from inputs to probabilities."
            )
        return Model(classifier, records.n_classes, seed=seed)

    def identity(self) -> Mapping[str, Any]:
        """Return the function's name and source, and the parameters."""
        function, parameters = identity_of(self.function), plain(self.parameters)
        return {"recipe": "function", "function": function, "parameters": parameters, "version": self.version}

    def dump(self, model: Model) -> Mapping[str, bytes]:
        """Return the files of a model that follows scikit-learn's conventions."""
        if not hasattr(model.classifier, "get_params"):
            raise UnsupportedModelError(
                f"Expected a model that can be stored without a pickle, found {type(model.classifier).__name__}; it "
                "is used and not kept."
            )
        return dump(model, (self.function,))

    def load(self, files: Mapping[str, bytes]) -> Model:
        """Return the model that `dump` gave these files for."""
        return load(files, (self.function,))
