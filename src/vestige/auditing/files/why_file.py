"""`[why_at_risk]` in an audit file: what is looked for beside the risk of records, for the owner of the run alone."""

from dataclasses import dataclass

from vestige.core.errors import InputError
from vestige.core.schema import Schema


@dataclass(frozen=True, kw_only=True)
class WhyTable(Schema):
    """What is looked for beside how well each class generalises.

    Attributes:
        n_retrained: Training records that are left out, each from a model of its own, trained by the recipe.
        picture: Whether records are placed by the audited network's last hidden layer.

    Raises:
        InputError: The number is negative.
    """

    n_retrained: int = 0
    picture: bool = False

    def __post_init__(self) -> None:
        if self.n_retrained < 0:
            raise InputError(
                f"Expected n_retrained of 0 or more in [why_at_risk], found {self.n_retrained}; 200 are usual."
            )
