"""What an attack is: a pure function from signals to scores. All that it needs follows from its parameters' names."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from vestige.core.errors import InputError
from vestige.core.messages import brief, nearest
from vestige.core.signal import KNOWLEDGE, SIGNALS, Family, Signal, signals_of, strongest

PROVIDED = ("seed", "subjects", "classifier", "groups", "fitted")
"""Parameters with a default that an audit may set itself; no options."""

Scores = TypeVar("Scores", bound=Callable[..., np.ndarray])


@dataclass(frozen=True, kw_only=True)
class Attack:
    """What the auditing room must know to run an attack.

    Attributes:
        name: Its name in every table.
        score: The pure function. Its parameters without a default name the signals that it reads (`core.signal`), those
            with a default are options. Of `probabilities` it gets `ClassProbabilities`: p, 1 - p and their logarithms;
            with known members, plain arrays.
        definition: The score in one line.
        source: Paper and equation.
        citations: Keys of the papers' BibTeX entries, for `vestige.attacks.bibtex`; none for a custom attack.
        needs: What a user must give, where its signals do not say it.
        natural_threshold: The score above which the attack itself calls a record a member, such as log-odds of 0; None
            if it only ranks.
        monotone: Whether the score is one rising function, the same for all records, of the model's confidence in the
            record's true class. Members below nonmembers then mean that the two were exchanged. They do not for a
            ratio of densities, which falls on either side of a peak, for what is measured against other models'
            answers about the record, whose distribution may be skewed, for confidence in whatever class, or for what
            is learnt from known members, which is exchanged along with them; nor for a custom attack, unless its
            `Attack` says so.
        fit: For an attack that learns from reference models: from the same signals and options to what it learnt, which
            `score` takes as `fitted`; an audit records it. None elsewhere.
        options: Options that differ from their defaults, see `with_options`.
        calibrates: The attack whose scores of the target and of reference models it compares, as `plain_score` and
            `shadow_plain_score`; None for all others.

    Raises:
        InputError: A parameter without a default is no signal.
    """

    name: str
    score: Callable[..., np.ndarray]
    definition: str
    source: str
    citations: tuple[str, ...] = ()
    needs: str = ""
    natural_threshold: float | None = None
    monotone: bool = False
    fit: Callable[..., Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    calibrates: "Attack | None" = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.reads if not signals_of([name])]
        if unknown or not self.reads:
            found = brief(unknown[0]) if unknown else "none"
            raise InputError(
                f"Expected signals as parameters of the attack {self.name}, found {found}; {nearest(found, SIGNALS)}; "
                "options need a default."
            )
        if not self.needs:
            object.__setattr__(self, "needs", _needs_of(self.signals))

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """Names of the signals it reads, in the order in which it is given them."""
        parameters = inspect.signature(self.score).parameters.values()
        return tuple(p.name for p in parameters if p.default is p.empty)

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """The signals it reads."""
        return signals_of(self.reads)

    @property
    def access(self) -> str:
        """The weakest access that allows it: `label`, `loss`, `confidence` or `gradients`."""
        own = [signal.access for signal in self.signals]
        return strongest(own if self.calibrates is None else [*own, self.calibrates.access])

    @property
    def knowledge(self) -> tuple[str, ...]:
        """What else the adversary must know, see `core.signal.KNOWLEDGE`."""
        known = {word for signal in self.signals for word in signal.knowledge}
        known |= set() if self.calibrates is None else set(self.calibrates.knowledge)
        return tuple(word for word in KNOWLEDGE if word in known)

    @property
    def learns(self) -> bool:
        """Whether it is given the membership of some records to learn from, and so is played only if asked for."""
        return any(signal.family is Family.KNOWN for signal in self.signals)

    @property
    def asks_copies(self) -> bool:
        """Whether it reads labels, or gradients, of changed copies of each record, so that the model must be asked."""
        return any(signal.family is Family.COPIES for signal in self.signals)

    @property
    def needs_references(self) -> bool:
        """Whether it reads what models with known members among the audited records answered, and no copies."""
        return not self.asks_copies and any(signal.family is Family.REFERENCES for signal in self.signals)

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Its options and their defaults; those of the likelihood ratios are set together, in a `LikelihoodRatio`."""
        if "statistic" in self.reads:
            return {}
        parameters = inspect.signature(self.score).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not p.empty and p.name not in PROVIDED}

    def with_options(self, **options: Any) -> "Attack":
        """Return the attack with some options set; they are recorded in the result.

        Args:
            options: Values by name; a number for an option that is a number.

        Raises:
            InputError: It has no such option, or the value is of another kind.

        Example:
            >>> from vestige.attacks import named
            >>> named("base_score_offline").with_options(scale=0.5).options
            {'scale': 0.5}
        """
        for name, value in options.items():
            if name not in self.defaults:
                of_ratios = "statistic" in self.reads
                none = "those of likelihood ratios are in LikelihoodRatio" if of_ratios else "it has none"
                said = nearest(name, self.defaults) if self.defaults else none
                raise InputError(f"Expected an option of the attack {self.name}, found {brief(name)}; {said}.")
            default = self.defaults[name]
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if isinstance(default, bool) != isinstance(value, bool) or (
                isinstance(default, int | float) and not isinstance(default, bool) and not is_number
            ):
                raise InputError(
                    f"Expected a {type(default).__name__} as option {name} of the attack {self.name}, such as "
                    f"{default}, found {brief(repr(value))}."
                )
        return replace(self, options={**self.options, **options})

    @cached_property
    def takes(self) -> tuple[str, ...]:
        """Those of `PROVIDED` that it takes."""
        parameters = inspect.signature(self.score).parameters
        return tuple(name for name in PROVIDED if name in parameters)

    def play(self, signals: Mapping[str, Any], **provided: Any) -> np.ndarray:
        """Return a score per record.

        Args:
            signals: Signals by name; others than those that it reads are welcome.
            provided: What an audit sets: those of `PROVIDED` that the attack takes.
        """
        return self.score(*(signals[name] for name in self.reads), **{**provided, **self.options})

    def learn(self, signals: Mapping[str, Any], **provided: Any) -> Any:
        """Return what it learns from reference models, by `fit`; arguments as of `play`."""
        assert self.fit is not None
        return self.fit(*(signals[name] for name in self.reads), **{**provided, **self.options})


def attack(
    *,
    definition: str,
    source: str,
    cites: str,
    needs: str = "",
    natural_threshold: float | None = None,
    monotone: bool = False,
    fit: Callable[..., Any] | None = None,
) -> Callable[[Scores], Scores]:
    """Enter a function from signals to scores in the catalogue, as its attribute `attack`; it stays a plain function.

    Args:
        definition: The score in one line.
        source: Paper and equation.
        cites: Key of the paper in `attacks/sources.bib`.
        needs: As of `Attack`.
        natural_threshold: As of `Attack`.
        monotone: As of `Attack`.
        fit: As of `Attack`.

    Example:
        >>> @attack(definition="-(loss)", source="Yeom et al. 2018", cites="yeom2018privacy")
        ... def negated(losses):
        ...     return -losses
        >>> negated.attack.name, negated.attack.access, negated.attack.knowledge
        ('negated', 'loss', ('label',))
    """

    def entered(function: Scores) -> Scores:
        function.attack = Attack(  # type: ignore[attr-defined]
            name=function.__name__,
            score=function,
            definition=definition,
            source=source,
            citations=(cites,),
            needs=needs,
            natural_threshold=natural_threshold,
            monotone=monotone,
            fit=fit,
        )
        return function

    return entered


def _needs_of(signals: tuple[Signal, ...]) -> str:
    """What the strongest of the signals needs, and known members where it learns from these."""
    strongest = signals[0].needs
    learns = any(signal.name == "known_member" for signal in signals[1:])
    return f"{strongest}, and records of known membership" if learns else strongest
