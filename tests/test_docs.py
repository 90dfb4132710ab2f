"""Tests that the README matches the code: its tables, commands, names and front matter."""

from __future__ import annotations

import difflib
import re
import shlex

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from cache_engine.__main__ import parser
from tools.readme import README, TABLES, written

REQUIREMENTS = README.with_name("requirements.txt")
TEXT = README.read_text(encoding="utf-8")
COMMANDS = re.findall(r"python -m cache_engine ((?:.*\\\n)*.*)", TEXT)


def test_generated_tables_are_up_to_date() -> None:
    assert all(f"<!-- /{name} -->" in TEXT for name in TABLES)
    wanted = written(TEXT)
    if wanted != TEXT:
        lines = difflib.unified_diff(
            TEXT.splitlines(), wanted.splitlines(), "README.md", "the code", lineterm=""
        )
        pytest.fail("A table of README.md is out of date: run `python -m tools.readme`.\n" + "\n".join(lines))


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_real(command: str) -> None:
    parser().parse_args(shlex.split(command.replace("\\\n", " ")))


def test_front_matter_is_what_a_space_takes() -> None:
    matter = dict(line.split(": ", 1) for line in TEXT.split("---")[1].strip().splitlines())
    assert matter["sdk"] == "gradio"
    assert matter["app_file"] == "app.py"
    assert len(matter["short_description"]) <= 60
    wanted = re.search(r"^gradio(.*)$", REQUIREMENTS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert wanted
    assert Version(matter["sdk_version"]) in SpecifierSet(wanted.group(1))
    assert tuple(map(int, matter["python_version"].strip('"').split("."))) >= (3, 11)


def test_every_name_in_the_library_examples_exists() -> None:
    import cache_engine

    for line in re.findall(r"^from cache_engine import (.*)$", TEXT, flags=re.MULTILINE):
        assert set(line.split(", ")) <= set(cache_engine.__all__)
