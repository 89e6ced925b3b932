"""Carlini et al. 2022: rows of their figures and of the released demonstration."""

from vestige.papers.reproduction.row import Paper, Row


def _not_built(item: str, title: str, data: str = "cifar10-jpeg", hours: float = 0.0) -> Row:
    return Row(paper=Paper.CARLINI, item=item, data=data, title=title, gpu_hours=hours)


ROWS = (
    _not_built("headline", "the online likelihood ratio with 256 models", "cifar10", 8.0),
    _not_built("headline", "the online likelihood ratio with 256 models", "cifar100", 8.0),
    _not_built("demo", "16 models of the released demonstration, the last one the target", "cifar10", 0.7),
    _not_built("figure12", "shadow models of another architecture than the target's", "cifar10", 50.0),
    _not_built("figure13", "records that do not belong, inserted", "cifar10", 2.0),
    _not_built("conclusion", "defences, DP with vacuous epsilon, labels, gradients and earlier models at low rates"),
)
