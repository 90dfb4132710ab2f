"""Prints the size of every source file. It fails for long files, long lines of Python, and code that needs
POSIX.

python tools/sizes.py
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("app.py", "app", "assets", "cache_engine", "studies", "tests", "tools")
SUFFIXES = (".py", ".js", ".css", ".html")
WANTED, MOST = 150, 350  # number of lines in a file
WIDEST = 110  # number of characters in a line of Python, without a comment for a tool
PRAGMA = re.compile(r"\s*# (noqa|pyright:|type:).*")

POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"}
POSIX_CALLS = {
    "fork",
    "forkpty",
    "geteuid",
    "getuid",
    "killpg",
    "mkfifo",
    "setsid",
    "SIGKILL",
    "SIGHUP",
    "SIGALRM",
}
POSIX_PATHS = ("/bin/", "/dev/", "/etc/", "/home/", "/opt/", "/proc/", "/root/", "/tmp", "/usr/", "/var/")
# zerogpu.py and spaces.py run on Linux only; browser.py checks the system first; sizes.py itself holds the
# lists.
POSIX_ALLOWED = {"app/engine/zerogpu.py", "tests/app/spaces.py", "tools/browser.py", "tools/sizes.py"}


def sources() -> list[Path]:
    paths = [
        path
        for part in PARTS
        for path in ([ROOT / part] if part.endswith(".py") else (ROOT / part).rglob("*"))
    ]
    return sorted(path for path in paths if path.suffix in SUFFIXES and path.is_file())


def python_faults(name: str, text: str) -> list[str]:
    faults = [
        f"{name}:{number}: {len(line)} characters. The limit is {WIDEST}."
        for number, line in enumerate(text.splitlines(), 1)
        if len(PRAGMA.sub("", line)) > WIDEST
    ]
    if name not in POSIX_ALLOWED:
        faults += [
            f"{name}:{number}: {fault}. The code must run on Windows too."
            for number, fault in unportable(ast.parse(text))
        ]
    return faults


def unportable(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield pairs (line, fault) for modules, calls and paths that Windows lacks, and for text files without
    encoding.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
            )
            yield from (
                (node.lineno, f"imports {name}") for name in names if name.split(".")[0] in POSIX_MODULES
            )
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in ("os", "signal") and node.attr in POSIX_CALLS:
                yield node.lineno, f"uses {node.value.id}.{node.attr}"
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.startswith(POSIX_PATHS)
        ):
            yield node.lineno, f"names the path {node.value!r}"
        if (
            isinstance(node, ast.Call)
            and reads_text(node)
            and "encoding" not in {word.arg for word in node.keywords}
        ):
            yield node.lineno, "opens a text file without encoding="


def reads_text(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr in ("read_text", "write_text")
    if not (isinstance(call.func, ast.Name) and call.func.id == "open"):
        return False
    modes = [word.value for word in call.keywords if word.arg == "mode"] + call.args[1:2]
    return not any(isinstance(mode, ast.Constant) and "b" in str(mode.value) for mode in modes)


def main() -> int:
    faults, total = [], 0
    for path in sources():
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        lines = text.count("\n")
        total += lines
        print(f"{lines:5} {name}{'   over ' + str(WANTED) if lines > WANTED else ''}")
        if lines > MOST:
            faults.append(f"{name} has {lines} lines. The limit is {MOST}: split the file.")
        if path.suffix == ".py":
            faults += python_faults(name, text)
    print(f"{total:5} in all")
    print(*faults, sep="\n", file=sys.stderr, end="\n" if faults else "")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
