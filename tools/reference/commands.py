"""Commands with their arguments and options, as `genbench COMMAND --help` knows them; exit codes and errors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, get_type_hints

import typer

from genbench.cli.main import EXIT_CODES, app
from genbench.errors import GenbenchError
from tools.reference.markdown import code, page, prose, table
from tools.reference.types import in_words


def every_command() -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its full name (``store rebuild``), as typer's own click has it."""

    def below(prefix: str, group: Any) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            full = f"{prefix} {name}".strip()
            if hasattr(command, "commands"):
                yield from below(full, command)
            else:
                yield full, command

    return below("", typer.main.get_command(app))


def commands() -> str:
    """The page of commands."""
    found = list(every_command())
    sections = [_section(name, command) for name, command in found]
    intro = (
        "Data goes to standard output, progress and notes to standard error. Folders are also taken from "
        "`GENBENCH_RESULTS`, `GENBENCH_CACHE`, `GENBENCH_REGISTRY` and `GENBENCH_SUITES`; `GENBENCH_OFFLINE=1` forbids "
        "downloads. What the commands return: [exit codes](exit-codes.md)."
    )
    overview = table(("command", "does"), [(_linked(name), _text(command).split("\n\n")[0]) for name, command in found])
    return page("Commands", intro, overview, *sections)


def _linked(name: str) -> str:
    return f"[genbench {name}](#genbench-{name.replace(' ', '-')})"


def _text(command: Any) -> str:
    # \f ends what --help shows of a docstring.
    return prose(inspect.cleandoc(command.help or "").partition("\f")[0])


def _section(name: str, command: Any) -> str:
    shown = [parameter for parameter in command.params if parameter.name != "help"]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option"]
    usage = " ".join(["genbench", name, *map(_metavar, arguments), "[OPTIONS]"])
    rows = [(_name(p), prose(p.help), _values(command, p), _default(p)) for p in [*arguments, *options]]
    return "\n\n".join(
        [f"## genbench {name}", _text(command), f"```text\n{usage}\n```", table(("", "", "values", "default"), rows)]
    )


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required else f"[{name}]"


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return code(parameter.metavar or parameter.name.upper())
    return ", ".join(map(code, [*parameter.opts, *parameter.secondary_opts]))


def _values(command: Any, parameter: Any) -> str:
    """From the function behind the command: typer's versions keep types in different places."""
    annotation = get_type_hints(command.callback)[parameter.name]
    return "" if annotation is bool else in_words(annotation)


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    value = getattr(parameter.default, "value", parameter.default)
    return "" if value is None or value is False or value == [] else code(value)


def exit_codes() -> str:
    """The page of exit codes, and of the errors behind them."""
    errors = sorted(GenbenchError.__subclasses__(), key=lambda error: (error.exit_code, error.__name__))
    return page(
        "Exit codes",
        table(("code", "means"), [(code(number), meaning) for number, meaning in EXIT_CODES.items()]),
        "An error is two lines on standard error: `error:` says what and where, `hint:` what to do next. As Python "
        "exceptions they are subclasses of `GenbenchError` (`genbench.errors`), with the hint as `.hint`:",
        table(("exception", "exit code", "raised when"), [_error(error) for error in errors]),
    )


def _error(error: type[GenbenchError]) -> tuple[str, str, str]:
    return code(error.__name__), code(error.exit_code), prose(inspect.getdoc(error))
