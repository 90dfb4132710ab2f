"""python -m cache_engine ...: the engine's command line. With --json the last line of stdout is one JSON
object.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from .commands import COMMANDS
from .strict import EngineError


class Defaults(argparse.HelpFormatter):
    """Tells what is taken where an option is not given."""

    def _get_help_string(self, action: argparse.Action) -> str:
        said = action.help or ""
        if action.default in (None, False, "", argparse.SUPPRESS) or isinstance(action.default, list):
            return said
        return f"{said} (%(default)s)".strip()


class Parser(argparse.ArgumentParser):
    """One line on stderr and exit code 2 for whatever is wrong."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(2)


def parser() -> Parser:
    main = Parser(prog="python -m cache_engine", description=__doc__, allow_abbrev=False)
    commands = main.add_subparsers(dest="command", required=True, parser_class=Parser)
    for name, command in COMMANDS.items():
        one = commands.add_parser(
            name, help=command.help, description=command.help, allow_abbrev=False, formatter_class=Defaults
        )
        command.arguments(one)
        one.add_argument("--json", action="store_true", help="the last line of stdout is one JSON object")
    return main


def _speak(encoding: str | None = None) -> None:
    """A console's own encoding may lack letters, which is no reason to lose what was said."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace", encoding=encoding)


def main(arguments: Sequence[str] | None = None) -> int:
    _speak()
    options = parser().parse_args(arguments)
    if options.json:
        _speak(encoding="utf-8")  # whatever the console has: programs read JSON so
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")  # what libraries note on import is nobody's error
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    try:
        answer = COMMANDS[options.command].run(options)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; nothing half done was written.", file=sys.stderr)
        return 130
    print(json.dumps(answer.data, ensure_ascii=False) if options.json else answer.text)
    return answer.code


if __name__ == "__main__":
    sys.exit(main())
