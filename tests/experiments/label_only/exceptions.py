"""What the paper says and these studies do not show: set, better, other -> finding in balanced accuracy and in AUC."""

EXCEPTIONS: dict[tuple[str, str, str, str], str] = {
    ("adult", "confidence", "gap", "balanced_accuracy"): "undecided",
    ("adult", "confidence", "gap", "auc"): "undecided",
    ("adult", "confidence", "noise as published", "balanced_accuracy"): "undecided",
    ("adult", "confidence", "noise as published", "auc"): "undecided",
    ("cifar10-jpeg", "combined", "distance at the queries of a copy", "balanced_accuracy"): "undecided",
    ("cifar10-jpeg", "combined", "distance at the queries of a copy", "auc"): "undecided",
    ("cifar10-jpeg", "augmentation", "gap", "balanced_accuracy"): "undecided",
    ("cifar10-jpeg", "augmentation", "gap", "auc"): "undecided",
    ("cifar10-jpeg", "confidence", "gap", "balanced_accuracy"): "undecided",
    ("cifar10-jpeg", "confidence", "distance", "balanced_accuracy"): "undecided",
    ("location30", "confidence", "noise", "auc"): "undecided",
    ("mnist", "combined", "distance at the queries of a copy", "balanced_accuracy"): "undecided",
    ("mnist", "combined", "distance at the queries of a copy", "auc"): "undecided",
    ("mnist", "distance", "gap", "balanced_accuracy"): "undecided",
    ("mnist", "distance", "gap", "auc"): "undecided",
    ("mnist", "augmentation", "gap", "balanced_accuracy"): "undecided",
    ("mnist", "augmentation", "gap", "auc"): "undecided",
    ("mnist", "confidence", "gap", "auc"): "undecided",
    ("mnist", "confidence", "distance", "balanced_accuracy"): "contradicted",
    ("mnist", "confidence", "distance", "auc"): "undecided",
}


def expected(name: str, row: dict[str, object]) -> str:
    return EXCEPTIONS.get((name, str(row["better"]), str(row["other"]), str(row["metric"])), "shown")
