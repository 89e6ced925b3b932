"""The command line: parse, call, print. A file per command; options and audit files become the same tables.

Exit codes: 0 done, 2 bad input, 3 policy broken, 4 undecided, 70 our fault.
"""

import gc
import signal
import sys
from io import TextIOWrapper
from typing import Annotated, Any

import typer

from vestige.auditing.stopping import received, stopping_raises
from vestige.cli.attacks import attacks_command
from vestige.cli.audit import audit_command
from vestige.cli.bank import bank_app
from vestige.cli.compare_defences import compare_defences_command
from vestige.cli.data import data_app
from vestige.cli.demo import demo_command
from vestige.cli.doctor import doctor_command
from vestige.cli.gate import gate_command
from vestige.cli.init import init_command
from vestige.cli.plan import plan_command
from vestige.cli.printing import Told, cannot_print, complain, is_unprinted, printing
from vestige.cli.reproduce import reproduce_command
from vestige.cli.running import KEPT
from vestige.cli.runs import compare_command, records_command, report_command, view_command
from vestige.cli.settings import new_spelling
from vestige.cli.verify import verify_command
from vestige.core.errors import VestigeError

# Typer has brought its own click along since 0.20; the class it raises is reached through its public child.
_UsageError: Any = typer.BadParameter.__mro__[2]

BAD_INPUT = 2
INTERNAL_ERROR = 70
INTERRUPTED = 130

app = typer.Typer(
    name="vestige",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="How much does a trained classifier give away about the records it was trained on?",
    epilog="Start with: vestige demo",
)


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


app.command("audit")(audit_command)
app.command("init")(init_command)
app.command("plan")(plan_command)
app.command("gate")(gate_command)
app.command("compare")(compare_command)
app.command("records")(records_command)
app.command("report")(report_command)
app.command("view")(view_command)
app.command("verify")(verify_command)
app.command("compare-defences")(compare_defences_command)
app.command("reproduce")(reproduce_command)
app.command("attacks")(attacks_command)
app.command("demo")(demo_command)
app.command("doctor")(doctor_command)
app.add_typer(data_app)
app.add_typer(bank_app)


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
        new = new_spelling(getattr(error, "option_name", ""), sys.argv)
        message = " ".join(error.format_message().split())
        if new is not None:
            complain(new)
        elif message:  # empty where the help was printed for lack of a command
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
