"""A function from inputs to answers as a target."""

from collections.abc import Callable
from typing import Any

from vestige.core.columns import index_of
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.targets import Answers, ClassNames
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.refusals import answered, refuse_other_order


class FunctionTarget:
    """Calls a function that returns an answer per record; it is given a copy of the inputs.

    A bare array is taken as probabilities unless `format` says otherwise; `Logits`, `Probabilities` and
    `PredictedLabels` say it themselves.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        n_classes: int,
        classes: ClassNames = None,
        format: AnswerFormat | None = None,
    ) -> None:
        self.function, self.n_classes, self.classes = function, n_classes, classes
        self.format = format or AnswerFormat()
        self.names_classes, self.remarks = False, tuple[str, ...]()

    def answers(self, inputs: Any) -> Answers:
        """Return what the function answers.

        Raises:
            TargetError: It fails, or these are no answers of its format for every record, in their order.
        """
        answers = answered(self.function, inputs.copy())
        is_typed = isinstance(answers, Probabilities | Logits | PredictedLabels)
        refuse_other_order(answers.index if is_typed else index_of(answers), inputs)
        self.names_classes = self.format.says_classes(answers)
        return self.format.read(answers, len(inputs), self.n_classes, self.classes)
