"""What the zoo's commands share: models named on the command line, and errors told as genbench tells them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from genbench import console
from genbench.errors import GenbenchError
from zoo.configuration import Training, load


def for_each(
    carry_out: Callable[[str, Training], None], arguments: Sequence[str], *, module: str, about: str | None
) -> int:
    """Read every configuration that is named, then carry them out one by one; the exit code."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="a configuration of zoo/, without .toml")
    try:
        configurations = {name: load(name) for name in parser.parse_args(arguments).names}
        for name, configuration in configurations.items():
            carry_out(name, configuration)
    except GenbenchError as error:
        console.error(str(error), error.hint)
        return error.exit_code
    return 0
