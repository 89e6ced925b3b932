"""What P3 says and these studies do not show: set, better, other, metric -> what was found."""

EXCEPTIONS: dict[tuple[str, str, str, str], str] = {}


def expected(name: str, row: dict[str, object]) -> str:
    return EXCEPTIONS.get((name, str(row["better"]), str(row["other"]), str(row["metric"])), "shown")
