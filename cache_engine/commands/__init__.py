"""The commands of ``python -m cache_engine``. Each command is one file."""

from __future__ import annotations

from . import benchmark, calibrate, check, compare, doctor, flops, methods, models, simulate, tune
from .shared import Command

COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        models.COMMAND,
        methods.COMMAND,
        flops.COMMAND,
        compare.COMMAND,
        simulate.COMMAND,
        tune.COMMAND,
        check.COMMAND,
        benchmark.COMMAND,
        calibrate.COMMAND,
        doctor.COMMAND,
    )
}
