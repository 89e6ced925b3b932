"""The command line: parse, call, print. Exit codes 0 done, 2 bad input, 3 policy broken, 4 undecided, 70 our fault."""

import gc
import signal
import sys
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vestige.cli_data import data_app
from vestige.cli_model import (
    AccessOption,
    AnswersOption,
    Bank,
    BudgetOption,
    ModelOption,
    Models,
    PriceOption,
    Ray,
    TrustPickle,
    Within,
    audit_model,
    file_of_options,
    plan_command,
    read_file,
    refuse_beside_audit_file,
    refuse_without_model,
)
from vestige.cli_predictions import positive_of, read_beside, read_references_beside, read_target
from vestige.cli_run import KEPT, Attacks, Told, cannot_print, complain, gate, is_unprinted, printing, written
from vestige.core.errors import InputError, VestigeError
from vestige.core.options import Arithmetic, Options, SubjectScore
from vestige.core.stopping import received, stopping_raises

if TYPE_CHECKING:
    from vestige.core.predictions import Predictions
    from vestige.core.progress import Progress
    from vestige.core.references import References
    from vestige.core.result import AuditResult

# Typer has brought its own click along since 0.20; the class it raises is reached through its public child.
_UsageError: Any = typer.BadParameter.__mro__[2]

BAD_INPUT = 2
INTERNAL_ERROR = 70
INTERRUPTED = 130

app = typer.Typer(
    name="vestige",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="How much does a trained classifier give away about the records it was trained on?",
    epilog="Start with: vestige demo",
)

Files = "Files"
Table = "Columns of a table"
Numbers = "What can change a number"


def _version(wanted: bool) -> bool:
    if wanted:
        from importlib.metadata import version

        print(version("vestige"))
        raise typer.Exit
    return wanted


@app.callback()
def _vestige(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command("audit")
def audit_command(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder for the run, new or of the same audit.")],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="The target's predictions: .npz, .csv, .parquet, .npy of logits; or AUDIT.toml, which names a model.",
        ),
    ] = None,
    members: Annotated[
        Path | None,
        typer.Option(
            help="Table of members only; with --model their records: a table, npz, or folder of images.",
            rich_help_panel=Files,
        ),
    ] = None,
    nonmembers: Annotated[Path | None, typer.Option(help="The same of nonmembers.", rich_help_panel=Files)] = None,
    shadow: Annotated[
        Path | None,
        typer.Option(help="Predictions of one model trained alike on other records.", rich_help_panel=Files),
    ] = None,
    shadow_members: Annotated[
        Path | None, typer.Option(help="Table of the shadow's members.", rich_help_panel=Files)
    ] = None,
    shadow_nonmembers: Annotated[
        Path | None, typer.Option(help="Table of the shadow's nonmembers.", rich_help_panel=Files)
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Answers of many models about the same records, with their training sets: .npz, a Zarr group, or the "
            "RUN of an audit that trained shadow models.",
            rich_help_panel=Files,
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="LABELS.npy", help="Labels beside LOGITS.npy.", rich_help_panel=Files)
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="The .npy holds probabilities.", rich_help_panel=Files)
    ] = False,
    member: Annotated[
        str, typer.Option(help="Column of 0 and 1, or MEMBER.npy beside LOGITS.npy.", rich_help_panel=Table)
    ] = "member",
    label: Annotated[str, typer.Option(help="Column of the true class.", rich_help_panel=Table)] = "label",
    id: Annotated[
        str | None,
        typer.Option(help="Column of unique ids (default: id, if there is one), or IDS.npy.", rich_help_panel=Table),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(
            help="Column that says whose record it is; numbers are then about people (default: subject, if there is "
            "one). Or SUBJECTS.npy.",
            rich_help_panel=Table,
        ),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(help="Column of a subpopulation to report on. Repeatable.", rich_help_panel=Table),
    ] = None,
    order: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of time or order that members and nonmembers could differ in. Repeatable.",
            rich_help_panel=Table,
        ),
    ] = None,
    input: Annotated[
        list[str] | None,
        typer.Option(help="Column the model was given; `input_...` if there are. Repeatable.", rich_help_panel=Table),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(metavar="COLUMN=CLASS", help="One probability column and its class.", rich_help_panel=Table),
    ] = None,
    label_base: Annotated[int, typer.Option(min=0, max=1, help="Labels count from 0 or 1.", rich_help_panel=Table)] = 0,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="Exit 3 if it holds, 4 if it cannot be told: [ATTACK:]METRIC.value|lower|upper > NUMBER, such as "
            "'tpr_at_fpr_0.01.upper > 0.03'. Reads the worst attack unless it names one. Repeatable.",
        ),
    ] = None,
    attack: Attacks = None,
    name: Annotated[str, typer.Option(help="What the results call the target.")] = "target",
    arithmetic: Annotated[
        Arithmetic, typer.Option(help="float64, or P1's published script to the digit.", rich_help_panel=Numbers)
    ] = Arithmetic.STABLE,
    subject_score: Annotated[
        SubjectScore, typer.Option(help="A subject's score, of its records'.", rich_help_panel=Numbers)
    ] = SubjectScore.MEAN,
    risk_prior: Annotated[float, typer.Option(help="Prior of the privacy risk score.", rich_help_panel=Numbers)] = 0.5,
    risk_bins: Annotated[int, typer.Option(help="Bins of the privacy risk score.", rich_help_panel=Numbers)] = 5,
    min_cell: Annotated[
        int, typer.Option(min=0, help="Hide groups with fewer members or nonmembers.", rich_help_panel=Numbers)
    ] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random step.", rich_help_panel=Numbers)] = 0,
    model: ModelOption = None,
    access: AccessOption = "confidence",
    answers: AnswersOption = None,
    budget: BudgetOption = None,
    price: PriceOption = None,
    trust_pickle: TrustPickle = False,
    bank: Bank = None,
    models: Models = None,
    within: Within = None,
    ray: Ray = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> int:
    """Audit predictions, or a model: members it was trained on, and nonmembers it was not.

    \b
    vestige audit predictions.npz --out RUN
    vestige audit predictions.npz --reference shadows.npz --out RUN
    vestige audit table.csv --shadow shadow.csv --subject patient --out RUN
    vestige audit --members in.csv --nonmembers out.csv --out RUN
    vestige audit LOGITS.npy --labels LABELS.npy --member MEMBER.npy --out RUN
    vestige audit --model model.onnx --members train.csv --nonmembers test.csv --label outcome --out RUN
    vestige audit AUDIT.toml --out RUN

    AUDIT.toml names a model, its members and nonmembers, and how to train shadow models like it:

    \b
    \\[target]
    model = "model.onnx"         # or module:name, another model file, https://host/v2/models/NAME
    access = "confidence"        # or label, gradients
    \\[data]
    members = "train.parquet"    # a file, or module:name of Records
    nonmembers = "test.parquet"
    label = "outcome"
    subject = "patient"
    \\[recipe]
    train = "same"               # clone the model, or module:name of a recipe
    n_shadows = 64               # or of fit(inputs, labels, *, seed) -> model

    A table has a column `label`, a column `member` (0 or 1) and a column `prob_CLASS` (or `logit_CLASS`) per class.
    RUN gets report.html and report.json, results.parquet and results.csv, which hold nothing about single records,
    and records.parquet, which does.
    """  # noqa: D301 - typer's own mark for lines to keep
    from vestige.auditing.policy import parse_policy
    from vestige.auditing.selection import ALL, select
    from vestige.data import Columns

    audit_file = None
    if file is not None and file.suffix == ".toml":
        refuse_beside_audit_file(context)
        audit_file = read_file(file)
    elif model is not None:
        audit_file = file_of_options(context)
    if audit_file is not None:
        asked = list(dict.fromkeys([*audit_file.policy.fail_if, *(fail_if or ())]))
        policies = [parse_policy(text, audit_file.selection().own) for text in asked]
        found = audit_model(audit_file, out, bank, models, within, ray, asked, quiet, trust_pickle=trust_pickle)
        return gate(policies, found, quiet)
    refuse_without_model(context)
    attacks = tuple(attack or (ALL,))
    policies = [parse_policy(text, select(attacks).own) for text in fail_if or ()]
    columns = Columns(
        label=label,
        member=member,
        id=id,
        subject=subject,
        groups=tuple(group or ()),
        order=tuple(order or ()),
        inputs=tuple(input or ()),
        positive=positive_of(positive),
        label_base=label_base,
    )
    options = Options(
        arithmetic=arithmetic,
        subject_score=subject_score,
        risk_prior=risk_prior,
        risk_bins=risk_bins,
        min_cell=min_cell,
        seed=seed,
        name=name,
    )
    from vestige.auditing.run_folder import prepare

    prepare(out)
    if file is None and members is None and reference is not None:
        file = reference  # it holds the target's answers too
    target, inside = read_target(file, members, nonmembers, labels, member, probabilities, columns)
    beside = read_beside(shadow, shadow_members, shadow_nonmembers, columns, target.classes)
    if inside is not None and beside is not None:
        raise InputError(f"Expected one shadow, found one inside {file} and one beside it; leave one out.")
    references = read_references_beside(file, reference, columns, target.classes)
    written_as: dict[str, Any] = {
        "target": {
            name: str(path)
            for name, path in {
                "file": file,
                "members": members,
                "nonmembers": nonmembers,
                "labels": labels,
                "reference": reference,
                "shadow": shadow,
                "shadow_members": shadow_members,
                "shadow_nonmembers": shadow_nonmembers,
            }.items()
            if path is not None
        }
        | {"probabilities": probabilities},
        "columns": {
            name: list(value) if isinstance(value, tuple) else "" if value is None else value
            for name, value in asdict(columns).items()
        },
        "policy": {"fail_if": list(fail_if or ())},
    }
    result = _run(target, inside or beside, references, out, options, written_as, quiet, attacks)
    return gate(policies, result, quiet)


@app.command("demo")
def demo_command(
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder for the run.")] = Path("runs/demo"),
    inputs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the example npz and CSV files there instead of auditing them."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> int:
    """Train an overfitted forest and a shadow on scikit-learn's digits, and audit it. No network, seconds."""
    from vestige.auditing.demo import demo_predictions, write_demo_inputs
    from vestige.auditing.run_folder import prepare

    if inputs is not None:
        for path in write_demo_inputs(inputs):
            print(path)
        return 0
    prepare(out)
    target, shadow = demo_predictions()
    _run(target, shadow, None, out, Options(name="demo"), {"target": {"demo": "scikit-learn digits"}}, quiet)
    return 0


app.command("plan")(plan_command)
app.add_typer(data_app)


def _run(
    target: "Predictions",
    shadow: "Predictions | None",
    references: "References | None",
    out: Path,
    options: Options,
    asked: dict[str, Any],
    quiet: bool,
    attacks: tuple[str, ...] = ("all",),
) -> "AuditResult":
    from vestige.auditing.audit import play
    from vestige.auditing.plan import plan_of
    from vestige.auditing.shadow import Shadow

    adversary = references if shadow is None else Shadow(shadow)

    def audited(progress: "Progress") -> "AuditResult":
        return play(plan_of(target, adversary=adversary, attacks=attacks, run=out, options=options, progress=progress))

    return written(audited, out, asked, quiet)


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(100_000, 20, 100)  # importing makes objects that stay: looking for garbage among them is a tenth
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may have fewer letters than a report
    code, stdout = BAD_INPUT, sys.stdout
    sys.stdout = Told(stdout)  # all that is asked of it is there
    try:
        with stopping_raises(), printing("make room, or let something else read it"):
            code = _exit_code()
    finally:
        sys.stdout = stdout
    sys.exit(BAD_INPUT if is_unprinted() and code == 0 else code)


def _exit_code() -> int:
    KEPT.clear()
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # so Typer says it
            return _interrupted()
        return code if isinstance(code, int) else 0
    except VestigeError as error:
        complain(" ".join(str(error).split()))
        return BAD_INPUT
    except _UsageError as error:
        message = " ".join(error.format_message().split())
        if message:  # empty where the help was printed for lack of a command
            complain(f"{message} Try 'vestige --help'.")
        return BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except Exception as error:
        if received() is not None:  # a library made another error of it
            return _interrupted()
        if isinstance(error, OSError) and cannot_print():
            raise  # to `main`, which says it
        import traceback

        traceback.print_exc()
        complain("internal error, which is our fault; please report the lines above.")
        return INTERNAL_ERROR


def _interrupted() -> int:
    """Say what is kept, and how to go on."""
    number = received()
    by = "" if number is None else f" by {signal.Signals(number).name}"
    kept = KEPT[-1] if KEPT else "nothing was written; the same command starts again."
    complain(f"interrupted{by}; {kept}")
    return INTERRUPTED if number is None else 128 + number
