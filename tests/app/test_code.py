"""Tests a setting as code: the code describes the same setting, or says why a library cannot run it.
tests/parity/test_code.py runs the code.
"""

from __future__ import annotations

import ast
import shlex
from typing import Any

import pytest

from app.compare.code import KINDS, code_of
from cache_engine import METHODS, MODELS, Comparison, method_from, resolve
from tests.app.made import dbcache, pair


def made(method: Any, **fields: Any) -> Comparison:
    comparison = pair(dbcache())
    request = resolve(comparison.baseline.request.replaced(**fields))
    return comparison._replace(
        baseline=comparison.baseline._replace(request=request),
        accelerated=comparison.accelerated._replace(
            request=request, effective=method.effective(request), method=method.to_dict()
        ),
    )


@pytest.mark.parametrize("name", list(METHODS))
@pytest.mark.parametrize("model", ["tiny", "flux-dev", "qwen-image"])
def test_every_method_is_python_or_a_reason(name: str, model: str) -> None:
    comparison = made(
        METHODS[name](), model=model, prompt='it\'s "quoted" \\ and\nbroken', steps=None, seed=3
    )
    for kind in KINDS:
        text = code_of(comparison, kind)
        if kind == "Command line":
            assert shlex.split(text.replace("\\\n", ""))[:4] == ["python", "-m", "cache_engine", "compare"]
        else:
            tree = ast.parse(text)
            assert bool(tree.body) != text.startswith("# ")


@pytest.mark.parametrize(
    ("method", "kind", "sentence"),
    [
        (METHODS["teacache"](), "cache-dit", "has no"),
        (dbcache(streak_rule="before"), "cache-dit", "a different rule"),
        (dbcache(predictor="dmd", taylorseer_order=1), "cache-dit", "TaylorSeer only"),
        (dbcache(), "diffusers", "First Block Cache"),
        (METHODS["taylorseer"](), "diffusers", "First Block Cache"),
    ],
)
def test_what_cannot_be_said_is_named(method: Any, kind: str, sentence: str) -> None:
    text = code_of(made(method), kind)
    assert sentence in text
    assert all(line.startswith("# ") for line in text.splitlines())


def test_a_forecast_that_does_not_happen_hinders_nobody() -> None:
    assert "enable_cache" in code_of(made(dbcache(predictor="dmd", taylorseer_order=0)), "cache-dit")


def test_fewer_steps_need_no_cache_and_may_have_one() -> None:
    plain, cached = (
        METHODS["fewer_steps"](fraction=0.5),
        METHODS["fewer_steps"](fraction=0.5, cache="F1B0_W2I1M0MC3_R0.12_T1O1"),
    )
    for kind in set(KINDS) - {"Command line"}:
        assert "num_inference_steps=14" in code_of(made(plain), kind)
        assert "cache" not in code_of(made(plain), kind).replace("cachelens", "")
    assert "max_warmup_steps=2" in code_of(made(cached), "Your pipeline")
    assert "num_inference_steps=14" in code_of(made(cached), "cache-dit")


def test_two_streams_are_kept_apart_on_cache_dit() -> None:
    assert "enable_separate_cfg=True" in code_of(made(dbcache()), "cache-dit")
    assert "enable_separate_cfg=False" in code_of(made(dbcache(), true_cfg_scale=1.0), "cache-dit")
    assert "enable_separate_cfg=False" in code_of(
        made(dbcache(), model="flux-dev", true_cfg_scale=None), "cache-dit"
    )


def test_the_command_says_the_same_request_and_method() -> None:
    from cache_engine.__main__ import parser
    from cache_engine.commands.compare import request_from_options
    from cache_engine.commands.shared import method_from_options, number

    method = dbcache(steps_computation_mask="1" * 28, residual_diff_threshold=0.075)
    comparison = made(
        method, prompt="$HOME `x` 'y'", negative_prompt="blurry; rm", seed=5, true_cfg_scale=2.12345678901
    )
    words = shlex.split(code_of(comparison, "Command line").replace("\\\n", ""))
    given = parser().parse_args(words[3:])
    assert method_from_options(given) == method_from(comparison.accelerated.method)
    request = request_from_options(
        given, prompt=given.prompt, negative_prompt=given.negative_prompt, seed=number(given.seed)
    )
    assert resolve(request) == comparison.baseline.request


def test_every_model_says_what_its_pipeline_takes() -> None:
    for name in MODELS:
        if MODELS[name].image != "needed":
            assert "prompt=" in code_of(
                made(dbcache(), model=name, steps=None, true_cfg_scale=None), "Your pipeline"
            )
