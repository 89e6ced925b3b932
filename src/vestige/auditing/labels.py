"""The label-only part of an audit: strengths chosen on shadow models, then the target asked, then scores."""

from vestige.auditing.adversary import AdversaryModels
from vestige.auditing.label_only.probe import label_results
from vestige.auditing.label_only.question import LabelQuestion, LabelResults
from vestige.auditing.plan import AuditPlan
from vestige.auditing.querying.session import TargetAnswers, TargetSession


def play_labels(
    plan: AuditPlan, model: TargetSession, answers: TargetAnswers, models: AdversaryModels
) -> LabelResults | None:
    """Play the label-only attacks; None if nothing is asked for them.

    Raises:
        InputError: A kind of queries does not fit the inputs.
        TargetError: The model does not answer.
        BudgetError: The budget is spent.
        TrainingError: A shadow model is in no bank.
    """
    if not plan.querying.label_only:
        return None
    question = LabelQuestion(
        target=model.labels,
        predicted=answers.predicted,
        pool=model.pool,
        space=plan.querying.inputs,
        shadows=models.labels,
        wanted={attack.name: attack for attack in plan.selection.attacks if attack.asks_copies},
        seed=plan.options.seed,
        progress=plan.progress,
    )
    return label_results(plan.querying.label_only, question)
