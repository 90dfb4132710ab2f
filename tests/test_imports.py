"""Tests which module may import which: reads the imports from the sources and enforces the architecture's
table.
"""

from __future__ import annotations

import ast
import fnmatch
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for part in ("app", "cache_engine")
    for path in (ROOT / part).rglob("*.py")
}
MODULES["app.py"] = ROOT / "app.py"  # the launcher; `import app` finds the package with the same name
HEAVY = {"torch", "torchvision", "diffusers", "transformers", "accelerate", "calflops"}
TORCH_FREE = (
    "records plans strict files method recipe quality schedules.* predictors.* session model methods.* "
    "models.* whatif.survey whatif.survey_file whatif.replay whatif.expected_psnr whatif.psnr_calibration "
    "whatif.simulation whatif.expected_frontier history"
)


class Rule(NamedTuple):
    """One rule. ``ours``: modules of ``cache_engine`` (None: any). ``theirs``: packages. ``lazy``: packages
    that only functions may import.
    """

    modules: str
    ours: str | None
    theirs: str = ""
    lazy: str = ""


LOADERS = "torch diffusers transformers tokenizers accelerate huggingface_hub safetensors PIL"
DOWNWARD = "records plans strict method schedules.* predictors.* methods.*"
# The first rule that matches a module counts.
RULES = [
    Rule("cache_engine.strict", "", "pydantic"),
    Rule("cache_engine.registry", "strict"),
    Rule("cache_engine.plans", ""),
    Rule("cache_engine.files", "strict", "pydantic", lazy="PIL numpy"),
    Rule("cache_engine.records", "strict plans files", "pydantic PIL"),
    # dmd needs eigenvalues; numpy is loaded only when this predictor is used
    Rule("cache_engine.predictors.dmd", "plans strict predictors.*", lazy="numpy"),
    Rule(
        "cache_engine.schedules* cache_engine.predictors*",
        "plans strict schedules.* predictors.*",
        "pydantic",
    ),
    Rule("cache_engine.method", "records plans strict registry", "pydantic"),
    # its knob for a cache holds a recipe
    Rule("cache_engine.methods.fewer_steps", DOWNWARD + " recipe", "pydantic"),
    Rule("cache_engine.methods*", DOWNWARD, "pydantic"),
    Rule("cache_engine.session", "records plans strict schedules.* predictors.*"),
    Rule("cache_engine.history", "plans predictors.*"),
    Rule(
        "cache_engine.sites*",
        "session model models.catalog records plans strict predictors.* sites.* history",
        "torch diffusers",
    ),
    # parts of a network, imported inside load()
    Rule("cache_engine.models.patch_decoder", "", "torch"),
    Rule("cache_engine.models.patch_autoencoder", "models.patch_decoder", "torch diffusers"),
    Rule("cache_engine.models.catalog", "model records plans strict registry models.*"),
    Rule("cache_engine.models*", "model placement records files strict models.*", lazy=LOADERS + " torchao"),
    Rule("cache_engine.placement", "strict"),
    Rule("cache_engine.model", "placement records plans strict"),
    Rule("cache_engine.quality cache_engine.recipe", TORCH_FREE, "numpy skimage PIL pydantic"),
    Rule("cache_engine.whatif.survey_file", TORCH_FREE, "numpy pydantic"),
    Rule(
        "cache_engine.whatif.survey cache_engine.whatif.replay cache_engine.whatif.expected_psnr "
        "cache_engine.whatif.psnr_calibration cache_engine.whatif.simulation "
        "cache_engine.whatif.expected_frontier",
        TORCH_FREE,
        "numpy",
    ),
    Rule("cache_engine", "", "lazy_loader"),
    Rule("cache_engine.__main__", None, "pydantic PIL"),
    Rule(
        "cache_engine.metrics* cache_engine.metric",
        TORCH_FREE + " metric metrics.* registry devices",
        "numpy",
        lazy=LOADERS + " torchvision torchmetrics",
    ),
    # the store that benchmark and tuning share; it imports neither
    Rule("cache_engine.runs*", TORCH_FREE + " report strict plans files runs.*", "PIL"),
    # real runs load the model when they are made; they import nothing of benchmark
    Rule(
        "cache_engine.tuning*",
        TORCH_FREE + " strict plans files loading runner runs.* tuning.*",
        "numpy PIL pydantic",
    ),
    Rule(
        "cache_engine.benchmark.job cache_engine.benchmark.board cache_engine.benchmark.folder "
        "cache_engine.benchmark.settings cache_engine.benchmark.summary_file",
        TORCH_FREE + " benchmark.* runs.*",
        "pydantic",
    ),
    Rule("cache_engine.*", None, " ".join(HEAVY) + " numpy PIL pydantic skimage ray huggingface_hub tqdm"),
    Rule("app.views app.statuses app.share", "", "PIL"),
    Rule("app.py", "", "spaces"),
    Rule("app app.*", "", "gradio PIL spaces pydantic starlette fastapi"),
]


class Import(NamedTuple):
    module: str  # absolute name with dots
    lazy: bool  # inside a function
    typing: bool  # under `if TYPE_CHECKING:`
    line: int


def imports(name: str) -> list[Import]:
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return list(walk(ast.parse(path.read_text(encoding="utf-8")), package, lazy=False, typing=False))


def walk(node: ast.AST, package: str, *, lazy: bool, typing: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, lazy, typing, node.lineno) for alias in node.names)
    elif isinstance(node, ast.Call) and (module := imported_by_string(node, package)):
        yield Import(module, lazy, typing, node.lineno)
    elif isinstance(node, ast.ImportFrom):
        parents = package.split(".")[: 1 - node.level or None] if node.level else []
        base = ".".join([*parents, *filter(None, [node.module])])
        for alias in node.names:  # in `from .x import y`, y may itself be a module
            inner = f"{base}.{alias.name}"
            yield Import(inner if inner in MODULES else base, lazy, typing, node.lineno)
    within_function = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for field, children in ast.iter_fields(node):
        checked = isinstance(node, ast.If) and field == "body" and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in children if isinstance(children, list) else [children]:
            if isinstance(child, ast.AST):
                yield from walk(child, package, lazy=within_function, typing=typing or checked)


def imported_by_string(call: ast.Call, package: str) -> str | None:
    """Return the module that ``import_module("...")`` or ``__import__("...")`` loads, or None for any other
    call.
    """
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if function not in ("import_module", "__import__") or not call.args:
        return None
    name = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
    if not isinstance(name, str):
        return None
    return importlib.util.resolve_name(name, package) if name.startswith(".") else name


def matches(name: str, patterns: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns.split())


def allowed(name: str, imported: Import, rule: Rule) -> bool:
    top = imported.module.split(".")[0]
    if top == "app":
        return top == name.split(".")[0]
    if top == "cache_engine":
        inside = imported.module.removeprefix("cache_engine").removeprefix(".")
        # for the page, the only allowed import of the engine
        front_door = not inside and not name.startswith("cache_engine.")
        return front_door or rule.ours is None or matches(inside, f"{rule.ours} {package_of(rule.ours)}")
    if top in sys.stdlib_module_names:
        return True
    return matches(top, f"{rule.theirs} {rule.lazy if imported.lazy or imported.typing else ''}")


def package_of(patterns: str) -> str:
    """Return the packages of these patterns. ``sites.*`` includes ``sites`` itself."""
    return " ".join(pattern.removesuffix(".*") for pattern in patterns.split() if pattern.endswith(".*"))


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_only_what_its_part_may(name: str) -> None:
    rule = next(rule for rule in RULES if matches(name, rule.modules))
    faults = [
        f"{MODULES[name].relative_to(ROOT).as_posix()}:{imported.line} imports {imported.module}"
        for imported in imports(name)
        if not allowed(name, imported, rule)
    ]
    assert not faults, "\n".join(faults)


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """Return modules that import each other in a circle, with the first repeated at the end, or an empty
    list.
    """
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return error.args[1]
    return []


def test_no_cycles() -> None:
    graph = {
        name: {
            imported.module
            for imported in imports(name)
            if imported.module in MODULES and not imported.typing
        }
        - {name}
        for name in MODULES
    }
    # the front door looks names up on first use: importing the package imports nothing below it
    graph["cache_engine"] = set()
    cycle = cycle_in(graph)
    assert not cycle, " -> ".join(cycle)


@pytest.mark.parametrize(
    "hidden",
    [
        'import importlib\nimportlib.import_module("made.up.b")',
        'from importlib import import_module\ndef late():\n    return import_module(".b", __package__).row()',
        '__import__("made.up.b")',
    ],
)
def test_a_cycle_made_by_string_is_seen(hidden: str) -> None:
    sources = {"made.up.a": hidden, "made.up.b": "import made.up.a"}
    graph = {
        name: {imported.module for imported in walk(ast.parse(source), "made.up", lazy=False, typing=False)}
        & sources.keys()
        for name, source in sources.items()
    }
    assert set(cycle_in(graph)) == set(sources)


def run_fresh(code: str, folder: Path) -> str:
    """Return the output of a new interpreter for ``code``, run in an empty folder that is also its home."""
    remaining = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHON"))}
    places = {
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "USERPROFILE": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=remaining | places,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import cache_engine", HEAVY | {"gradio", "numpy", "skimage"}),
        (
            "from cache_engine import METHODS, MODELS, RunRequest, compare\nlist(METHODS), list(MODELS)",
            HEAVY | {"gradio"},
        ),
        (
            "import cache_engine.whatif.simulation"
            if "cache_engine.whatif.simulation" in MODULES
            else "import cache_engine.session",
            HEAVY,
        ),
        ("import cache_engine.quality", HEAVY),
        ("import cache_engine.recipe", HEAVY),
        ("import app", HEAVY),
        ("import app.components, app.views, app.timeline, app.statuses", HEAVY | {"gradio"}),
        ("from app.page import build_page\nbuild_page()", HEAVY),
    ],
)
def test_nothing_heavy_and_nothing_written_on_import(code: str, unwanted: set[str], tmp_path: Path) -> None:
    loaded = set(run_fresh(f"import sys\n{code}\nprint(*sys.modules)", tmp_path).split())
    assert not loaded & unwanted
    written = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert not written


LIGHT_TESTS = (
    "schedules session predictors predictor_contract methods recipe survey simulate expected_frontier".split()
)


def test_tests_without_a_model_import_no_torch(tmp_path: Path) -> None:
    """Such a test file takes a fifth of the time, because importing torch and diffusers takes seconds."""
    files = [str(ROOT / "tests" / "engine" / f"test_{name}.py") for name in LIGHT_TESTS]
    collect = ["-q", "--collect-only", "-p", "no:cacheprovider", *files]
    code = f"import pytest, sys\nassert pytest.main({collect}) == 0\nprint(*sys.modules)"
    assert not set(run_fresh(code, tmp_path).split()) & HEAVY
