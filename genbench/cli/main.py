"""The `genbench` program: its commands, its exit codes, and how errors are told."""

from __future__ import annotations

import errno
import sys
import traceback
from typing import Annotated

import typer

from genbench import __version__, console
from genbench.cli import (
    cache_commands,
    check_command,
    compare_command,
    explain_command,
    leaderboard_command,
    list_commands,
    reconstruct_command,
    reference_commands,
    report_command,
    run_command,
    score_command,
    spatial_command,
    sql_command,
    store_commands,
    study_command,
    validate_command,
    weights_commands,
)
from genbench.cli.signals import Terminated, end_in_order, heard
from genbench.errors import GenbenchError

EXIT_CODES = {
    0: "done",
    1: "the answer is no",
    2: "misuse",
    3: "genbench crashed",
    130: "interrupted (work is kept)",
    143: "terminated (work is kept)",
}
"""What the exit codes mean."""
OK, NO, MISUSE, CRASH, INTERRUPTED, TERMINATED = EXIT_CODES

app = typer.Typer(
    name="genbench",
    help="Make, keep and defend numbers about image generators.",
    epilog=f"Exit codes: {', '.join(f'{code} {meaning}' for code, meaning in EXIT_CODES.items())}.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"genbench {__version__}")
        raise typer.Exit


@app.callback()
def _genbench(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.command()(run_command.run)
app.command()(score_command.score)
app.command()(reconstruct_command.reconstruct)
app.command()(explain_command.explain)
app.command("list")(list_commands.list_)
app.command()(list_commands.show)
app.command()(spatial_command.spatial)
app.command()(validate_command.validate)
app.command()(compare_command.compare)
app.command()(check_command.check)
app.command()(sql_command.sql)
app.command()(leaderboard_command.leaderboard)
app.command()(report_command.report)
app.command()(study_command.study)
app.add_typer(store_commands.store_app, name="store")
app.add_typer(cache_commands.cache_app, name="cache")
app.add_typer(reference_commands.reference_app, name="reference")
app.add_typer(weights_commands.weights_app, name="weights")

_CommandLineError: type[Exception] = typer.BadParameter.__mro__[2]
"""ClickException, whose module moved between versions of typer."""


def main() -> None:
    """Run the program and exit with its code."""
    end_in_order()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Carry out one command line and return its exit code."""
    try:
        returned = app(arguments, prog_name="genbench", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        returned = INTERRUPTED
    except Terminated:
        returned = TERMINATED
    except SystemExit as left:
        if not isinstance(left.__context__, BrokenPipeError):
            raise
        return OK  # whoever read standard output left, as `head` does, and typer turned that into an exit
    except Exception as error:  # noqa: BLE001  # the outermost frame
        if heard() is None:
            return _explain(error)
        returned = TERMINATED if heard() is Terminated else INTERRUPTED
    if returned in (INTERRUPTED, TERMINATED):  # typer turns the keyboard's interrupt into a return value
        told = "interrupted" if returned == INTERRUPTED else "terminated"
        console.error(told, "finished shards are kept; the same command continues from there")
    return returned if isinstance(returned, int) else OK


def _explain(error: Exception) -> int:
    """Tell what went wrong; returns the exit code. Everything foreseen is a `GenbenchError`."""
    if isinstance(error, GenbenchError):
        console.error(str(error), error.hint)
        return error.exit_code
    if isinstance(error, _CommandLineError):
        return _misuse(error)
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        # Any path that a user or a card names may be; systems differ in what they take.
        console.error(f"{error.filename}: no file can have so long a name", "name another, or correct it in the card")
        return MISUSE
    traceback.print_exception(error)
    console.error(
        f"genbench crashed: {type(error).__name__}: {error}",
        "this is a bug in genbench: please report it with the lines above; finished work is kept",
    )
    return CRASH


def _misuse(error: Exception) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(str(error))
        return MISUSE
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "genbench"
    message = message.replace(": Value error, ", ": ", 1)  # pydantic's word for what typer says itself
    console.error(message.rstrip("."), f"`{command} --help` shows what it takes")
    return MISUSE
