"""The command line: ``python -m cache_engine COMMAND``.

With ``--json`` the last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from .commands import COMMANDS
from .failures import DEBUG, unexpected
from .strict import one_line

NO_OUTPUT = logging.NullHandler()


class Defaults(argparse.HelpFormatter):
    """Adds an option's default to its help."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        if action.default in (None, False, "", argparse.SUPPRESS) or isinstance(action.default, list):
            return text
        return f"{text} (%(default)s)".strip()


class Parser(argparse.ArgumentParser):
    """Prints one line on stderr and exits with code 2 for wrong arguments."""

    def error(self, message: str) -> NoReturn:
        print(one_line(f"{self.prog}: {message}"), file=sys.stderr)
        sys.exit(2)


def parser() -> Parser:
    main = Parser(prog="python -m cache_engine", description=__doc__, allow_abbrev=False)
    commands = main.add_subparsers(dest="command", required=True, parser_class=Parser)
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(
            name, help=command.help, description=command.help, allow_abbrev=False, formatter_class=Defaults
        )
        command.arguments(subparser)
        subparser.add_argument(
            "--json",
            action="store_true",
            help="print the result as one JSON object, in the last line of stdout",
        )
    return main


def _set_output(encoding: str | None = None) -> None:
    """Make printing skip letters that the console's encoding lacks, so that the rest of
    the text is printed.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace", encoding=encoding)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the warnings of libraries, and logs that no handler takes, off stderr: it is for our own line."""
    if os.environ.get(DEBUG):
        yield
        return
    logging.getLogger().addHandler(NO_OUTPUT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    _set_output()
    options = parser().parse_args(arguments)
    if options.json:
        # programs that read our JSON expect UTF-8, whatever encoding the console uses
        _set_output(encoding="utf-8")
    # hides the hints that diffusers prints when it is imported: they are not errors
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    try:
        with quiet_libraries():
            answer = COMMANDS[options.command].run(options)
    except Exception as error:
        if os.environ.get(DEBUG):
            traceback.print_exc()
        told = unexpected(error, f"{DEBUG}=1 prints where it happened")
        print(one_line(str(told)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; nothing half done was written.", file=sys.stderr)
        return 130
    print(json.dumps(answer.data, ensure_ascii=False) if options.json else answer.text)
    return answer.code


if __name__ == "__main__":
    sys.exit(main())
