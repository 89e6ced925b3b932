"""`vestige audit`: predictions, a model or a recipe."""

from pathlib import Path
from typing import Annotated

import typer

from vestige.cli.printing import printing
from vestige.cli.running import run
from vestige.cli.settings import Bank, Model, Quiet, Ray, Set, TrustPickle, Verbose, Within, asked_by

Files = "Files"
Table = "Columns of a table"


def audit_command(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder for the run, new or of the same audit.")],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="The target's predictions: .npz, .csv, .parquet, .jsonl, .npy of logits; or AUDIT.toml (a model).",
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
        list[Path] | None,
        typer.Option(
            metavar="LABELS.npy",
            help="Labels beside LOGITS.npy. Twice beside npy files as --members and --nonmembers, of members first.",
            rich_help_panel=Files,
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Column of the true class (default: label).", rich_help_panel=Table)
    ] = None,
    member: Annotated[
        str | None,
        typer.Option(
            help="Column of 0 and 1 (default: member). Or MEMBER.npy beside LOGITS.npy.", rich_help_panel=Table
        ),
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
    positive: Annotated[
        str | None,
        typer.Option(metavar="COLUMN=CLASS", help="One probability column and its class.", rich_help_panel=Table),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="Exit 3 if it holds, 4 if it cannot be told: [ATTACK:]METRIC.value|lower|upper > NUMBER, such as "
            "'tpr_at_fpr_0.01.upper > 0.03'. Reads the worst attack unless it names one. Repeatable.",
        ),
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Play this one: all (the default), one of `vestige attacks`, or module:function of your own. "
            "Repeatable.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the results call the target (default: target).")] = None,
    purpose: Annotated[str | None, typer.Option(help="What the audit is for; stands on its pages.")] = None,
    author: Annotated[str | None, typer.Option(help="Who audits; stands on its pages.")] = None,
    headline_fpr: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="The lowest false-positive rate that the finding is about: 0.1, 0.01, 0.001 or 0.0001 (default: the "
            "lowest that so many nonmembers resolve).",
        ),
    ] = None,
    set_: Set = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The model itself, with --members and --nonmembers: module:name, a file (.onnx, .pt2, .skops, .json, "
            ".ubj, .txt) or https://host/v2/models/NAME. What else there is to say of it goes into an AUDIT.toml.",
            rich_help_panel=Model,
        ),
    ] = None,
    access: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL",
            help="What the adversary gets: label, confidence (the default) or gradients.",
            rich_help_panel=Model,
        ),
    ] = None,
    trust_pickle: TrustPickle = False,
    bank: Bank = None,
    within: Within = None,
    ray: Ray = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print report.json instead.")] = False,
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

    Every entry of such a file can be said by --set too; RUN/audit.toml has all of them with what was used:

    \b
    vestige audit predictions.csv --set options.seed=7 --set data.id=row --out RUN

    A table has a column `label`, a column `member` (0 or 1) and a column `prob_CLASS` (or `logit_CLASS`) per class.
    RUN gets report.html, summary.html and report.json, results.parquet and results.csv, which hold nothing about
    single records, and records.parquet, which does.
    """  # noqa: D301 - typer's own mark for lines to keep
    code = run(
        asked_by(context),
        out,
        fail_if=fail_if or (),
        bank=bank,
        ray=ray,
        trust_pickle=trust_pickle,
        quiet=quiet or as_json,
        verbose=verbose,
    )
    if as_json:
        with printing(f"the run is in {out}"):
            print((out / "report.json").read_text(encoding="utf-8"))
    return code
