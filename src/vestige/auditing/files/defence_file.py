"""Defences in an audit file: those that are compared, and one in front of the audited model."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vestige.auditing.querying.defended import Defended, KnowsDefence
from vestige.core.answer_defence import AnswerDefence
from vestige.core.errors import InputError
from vestige.core.messages import few
from vestige.core.recipe import Recipe
from vestige.core.records import Records
from vestige.core.schema import Schema


@dataclass(frozen=True, kw_only=True)
class UsedTable(Schema):
    """What a defence is.

    Attributes:
        use: `module:name` of the defence, or of a class or function that gives one and takes the `parameters`.
        parameters: Of that class or function.
    """

    use: str
    parameters: dict[str, Any] = field(default_factory=dict)

    def made(self, named: Callable[[str], Any], name: str) -> Recipe | AnswerDefence:
        """Return the recipe or the defence of answers.

        Args:
            named: Finds `module:name`.
            name: What messages call it.

        Raises:
            InputError: It is neither, or it does not take the parameters.
        """
        value = named(self.use)
        if isinstance(value, type) or not isinstance(value, Recipe | AnswerDefence):
            value = self._called(value, name)
        elif self.parameters:
            raise InputError(
                f"Expected no parameters of {self.use}, which is made already, found some; leave them out."
            )
        if isinstance(value, type) or not isinstance(value, Recipe | AnswerDefence):
            raise InputError(
                f"Expected one recipe or defence of answers as the defence {name}, found {type(value).__name__}; such "
                'as use = "module:recipe".'
            )
        return value

    def _called(self, value: Any, name: str) -> Any:
        """What a function or a class gives with the parameters; the value itself where it is neither."""
        if not callable(value):
            return value
        try:
            return value(**self.parameters)
        except TypeError as error:
            raise InputError(
                f"Expected parameters that {self.use} takes for the defence {name}, found "
                f"{few(list(self.parameters)) or 'none'} ({error}); give those it has."
            ) from None


@dataclass(frozen=True, kw_only=True)
class DefenceTable(UsedTable):
    """`[[defence]]`: one of the defences that `vestige compare-defences` compares: a recipe, or a defence of answers.

    Attributes:
        name: What the comparison calls it.
    """

    name: str


@dataclass(frozen=True, kw_only=True)
class FrontTable(UsedTable):
    """`[target.defence]`: a defence of answers in front of the audited model, as `Defended` has it.

    Attributes:
        known: What the adversary makes of it: adaptive, target's own or unaware.
        nonmembers: Records of the defender's own, which a defence that is to be fitted learns from: a file or
            `module:name`.
        shadow_nonmembers: The same for each of the adversary's models.
        seed: Of fitting.
    """

    known: KnowsDefence = KnowsDefence.ADAPTIVE
    nonmembers: str | None = None
    shadow_nonmembers: str | None = None
    seed: int = 0

    def defended(self, named: Callable[[str], Any], records: Callable[[str], Records]) -> Defended:
        """Return the defence, with what is known of it.

        Args:
            named: Finds `module:name`.
            records: Reads a file of records, or finds them.

        Raises:
            InputError: It is no defence of answers, or its records are none.
        """
        front = self.made(named, "of [target]")
        if not isinstance(front, AnswerDefence):
            raise InputError(
                f"Expected a defence of answers in front of the model, such as vestige.defences:TopK, found the recipe "
                f"{self.use}; a defence that trains is in the model: train it so, and leave [target.defence] out."
            )
        own, of_shadows = (
            None if name is None else records(name) for name in (self.nonmembers, self.shadow_nonmembers)
        )
        return Defended(defence=front, known=self.known, nonmembers=own, shadow_nonmembers=of_shadows, seed=self.seed)
