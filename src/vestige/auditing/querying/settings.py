"""`Querying`: the settings of how the audited model may be queried."""

import math
from dataclasses import dataclass, field, replace
from decimal import Decimal
from numbers import Integral, Real

from vestige.auditing.label_only.gradient_search import GradientSearch
from vestige.auditing.label_only.probe import Probe
from vestige.auditing.querying.defended import Defended
from vestige.core.answer_defence import AnswerDefence
from vestige.core.errors import refuse_if, refusing
from vestige.core.inputs import InputSpace
from vestige.core.targets import Access
from vestige.core.views import MirrorAndShifts, Views


@dataclass(frozen=True, kw_only=True, eq=False)
class Querying:
    """How the audited model may be asked.

    Attributes:
        access: What the adversary gets: the predicted `label`, the `confidence` in every class, or the `gradients`
            too. Attacks that need more are left out, and nothing more is kept anywhere.
        inputs: What its inputs may be and how they become what the model is given; if omitted they are given as they
            are in the records.
        budget: The most queries that the model may answer, over all attacks and all starts into one run; None for no
            limit. They are counted before they are sent: those of a request that failed, or was under way when the
            process was killed, may have been answered and are spent, and so is each request that is sent again.
        price: Price of 1,000 queries. With a price or a budget, answers are kept and equal inputs asked once, as they
            are for a model that is far away.
        views: Changed copies of each record that the model is asked about besides the record itself, and shadow models
            too: `MirrorAndShifts` of an image, or `PipelineDraws` of the training augmentation. Attacks with shadow
            models read all of them, others the record. Only with training, or with references that were asked the same
            views.
        label_only: What label-only attacks ask, each kind once: `NoisyCopies`, `Augmentations`, `Translations`,
            `Rotations`, `BoundarySearch`, `CombinedDistances` or `SettledSearch`; and, with access to gradients, what
            they fall short of: `GradientSearch`. They cost as many queries a record as each says. Strengths
            are chosen on shadow models.
        defence: What stands in front of the model and changes its answers: a value of `vestige.defences`, or a
            `Defended` that says what the adversary knows of it and what it is fitted to. All that is asked, counted and
            kept is what the defended model answers; the adversary's models are defended likewise unless `Defended` says
            otherwise. Gradients are refused beside it: they would be those of the undefended model.
    """

    access: Access | str = Access.CONFIDENCE
    inputs: InputSpace = field(default_factory=InputSpace)
    budget: int | None = None
    price: float | None = None
    views: Views | None = None
    label_only: tuple[Probe, ...] = ()
    defence: AnswerDefence | Defended | None = None

    def __post_init__(self) -> None:
        with refusing(ValueError, f"Expected one of {', '.join(Access)} as access, found {self.access!r}."):
            object.__setattr__(self, "access", Access(self.access))  # a plain "label" is as good
        if isinstance(self.views, MirrorAndShifts) and self.views.channels is None and self.inputs.channels_first:
            object.__setattr__(self, "views", replace(self.views, channels="last"))  # in the records; that is declared
        kinds = [type(probe).__name__ for probe in self.label_only]
        is_whole = isinstance(self.budget, Integral) and not isinstance(self.budget, bool)
        is_number = isinstance(self.price, Real | Decimal) and not isinstance(self.price, bool)
        refuse_if(
            (
                self.defence is not None and self.access is Access.GRADIENTS,
                "Expected access to confidences or labels beside a defence of answers, found gradients, which it "
                "leaves undefended; ask for access confidence, or leave the defence out.",
            ),
            (
                self.access is not Access.GRADIENTS and any(isinstance(one, GradientSearch) for one in self.label_only),
                "Expected access to gradients beside a GradientSearch, found less; ask for access gradients, or take a "
                "BoundarySearch.",
            ),
            (
                len(set(kinds)) < len(kinds),
                f"Expected each kind of label-only queries once, found {', '.join(kinds)}; leave one out.",
            ),
            (
                self.budget is not None and not (is_whole and self.budget >= 1),
                f"Expected a budget of at least 1 query, in whole queries, found {self.budget!r}; leave it out for no "
                "limit.",
            ),
            (
                self.price is not None and not (is_number and 0 <= float(self.price) < math.inf),
                "Expected a price of 0 or more per 1,000 queries, as a plain number in any currency, found "
                f"{self.price!r}; leave it out if queries cost nothing.",
            ),
        )
        if self.price is not None:
            object.__setattr__(self, "price", float(self.price))
        if self.defence is not None and not isinstance(self.defence, Defended):
            object.__setattr__(self, "defence", Defended(defence=self.defence))

    @property
    def front(self) -> Defended | None:
        """The defence, with what is known of it."""
        assert self.defence is None or isinstance(self.defence, Defended)  # since it was made
        return self.defence
