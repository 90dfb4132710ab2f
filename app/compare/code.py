"""Writes a finished comparison as code that runs its setting: in your pipeline, in a shell, with cache-dit,
or with diffusers.

If a library cannot run the setting, its code is a comment with the reason, so no code here draws another
picture.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from cache_engine import METHODS, MODELS, Comparison, Method, RunRequest, method_from

KINDS = ("Your pipeline", "Command line", "cache-dit", "diffusers")
WIDTH = 100  # a call longer than this gets one line for each argument


class Unsupported(Exception):
    """Raised if a library cannot run the setting. The message is one sentence."""


def code_of(comparison: Comparison, kind: str) -> str:
    """Return the accelerated side as code, or a comment with the reason. ``kind``: one of KINDS."""
    result = comparison.accelerated
    method = method_from(result.method)
    if kind == "Command line":
        return command(comparison.baseline.request, method)
    attach = {"Your pipeline": _here, "cache-dit": _cache_dit, "diffusers": _diffusers}[kind]
    cache = method_within(method)
    try:
        return _drawn(result.effective, *attach(cache, result.effective) if cache else ([], "", ""))
    except Unsupported as reason:
        return f"# {reason}\n"


def method_within(method: Method) -> Method | None:
    """Return the method that caches within the run's own steps, or None if there is no cache."""
    if method.name == "fewer_steps":
        return getattr(method, "within", None)
    return None if method.name == "baseline" else method


def command(request: RunRequest, method: Method) -> str:
    """Return the ``python -m cache_engine compare`` command for the same two sides."""
    arguments: list[str] = [
        f"--model {shlex.quote(request.model)}",
        f"--prompt {shlex.quote(request.prompt)}",
    ]
    if request.negative_prompt:
        arguments.append(f"--negative-prompt {shlex.quote(request.negative_prompt)}")
    arguments.append(
        f"--seed {request.seed} --steps {request.steps} --size {request.width}x{request.height} "
        f"--text-tokens {request.max_sequence_length}"
    )
    arguments += [
        f"{option} {value!r}"
        for option, value in (("--guidance", request.guidance), ("--true-cfg-scale", request.true_cfg_scale))
        if value is not None
    ]
    arguments += [f"--lora FILE:{lora.weight!r}" for lora in request.loras] + ["--image FILE"] * (
        request.image is not None
    )
    knobs = [f"--set {shlex.quote(f'{name}={value}')}" for name, value in changed(method).items()]
    arguments.append(" ".join([f"--method {method.name}", *knobs]))
    return " \\\n  ".join(["python -m cache_engine compare", *arguments, "--out out"]) + "\n"


def changed(method: Method) -> dict[str, Any]:
    """Return the knobs that differ from their defaults."""
    return {
        knob.name: value
        for knob in METHODS[method.name].knobs()
        if (value := method.to_dict()[knob.name]) != knob.default
    }


def _drawn(request: RunRequest, imports: list[str], before: str, around: str) -> str:
    """Return the code of the pipeline's call, which draws the accelerated picture.

    before: a statement that comes first. around: the line that opens a ``with`` block.
    """
    row = MODELS[request.model]
    arguments = {
        "prompt": request.prompt,
        "num_inference_steps": request.steps,
        "width": request.width,
        "height": request.height,
        **row.call(request),
    }
    texts = [f"{name}={value!r}" for name, value in arguments.items() if value is not None]
    texts += ["image=picture"] * (request.image is not None) + [
        f'generator=torch.Generator("cpu").manual_seed({request.seed})'
    ]
    drawn = _call("image = pipe", texts, "    " * bool(around), ".images[0]")
    also = "".join(
        [
            ", with the LoRAs of this run" * bool(request.loras),
            "; picture: its input picture" * (request.image is not None),
        ]
    )
    lines = ["import torch", *imports, "", f"# pipe: {row.title} as a diffusers pipeline{also}"]
    return "\n".join([*lines, *[before] * bool(before), *[around] * bool(around), drawn]) + "\n"


def _call(name: str, arguments: list[str], indent: str = "", end: str = "") -> str:
    line = f"{indent}{name}({', '.join(arguments)}){end}"
    if len(line) <= WIDTH:
        return line
    inner = "".join(f"{indent}    {argument},\n" for argument in arguments)
    return f"{indent}{name}(\n{inner}{indent}){end}"


def _knobs(values: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value!r}" for name, value in values.items()]


def _here(method: Method, request: RunRequest) -> tuple[list[str], str, str]:
    built = _call(f'method = METHODS["{method.name}"]', _knobs(changed(method)))
    return ["from cache_engine import METHODS, attached"], built, "with attached(pipe, method) as session:"


def _cache_dit(method: Method, request: RunRequest) -> tuple[list[str], str, str]:
    """Return DBCache in the form that cache-dit 1.5.3 takes. tests/parity compares both."""
    knobs = method.to_dict()
    if method.name != "dbcache":
        raise Unsupported(f"cache-dit has no {method.title}.")
    if knobs["streak_rule"] != "1.5.3":
        raise Unsupported(
            "cache-dit 1.5.3 counts cached steps in a row by a different rule than this setting."
        )
    order = knobs["taylorseer_order"]
    if order and knobs["predictor"] != "taylor":
        raise Unsupported(
            f"cache-dit forecasts with TaylorSeer only, but this setting uses {knobs['predictor']}."
        )
    guided = len(MODELS[request.model].facts(request).streams) == 2
    config: dict[str, Any] = {
        name: knobs[name]
        for name in (
            "Fn_compute_blocks",
            "Bn_compute_blocks",
            "max_warmup_steps",
            "warmup_interval",
            "max_cached_steps",
            "max_continuous_cached_steps",
            "residual_diff_threshold",
        )
    } | {"enable_separate_cfg": guided}
    if knobs["steps_computation_mask"]:
        config |= {
            "steps_computation_mask": [int(digit) for digit in knobs["steps_computation_mask"]],
            "steps_computation_policy": knobs["steps_computation_policy"],
        }
    built = _call("config = cache_dit.DBCacheConfig", _knobs(config))
    forecast = (
        [f"calibrator_config=cache_dit.TaylorSeerCalibratorConfig(taylorseer_order={order})"] if order else []
    )
    enabled = _call("cache_dit.enable_cache", ["pipe", "cache_config=config", *forecast])
    return ["import cache_dit"], f"{built}\n{enabled}", ""


def _diffusers(method: Method, request: RunRequest) -> tuple[list[str], str, str]:
    """Return diffusers' First Block Cache, which is a DBCache with a threshold and no other knob."""
    plain = {
        "Fn_compute_blocks": 1,
        "Bn_compute_blocks": 0,
        "max_warmup_steps": 0,
        "max_cached_steps": -1,
        "max_continuous_cached_steps": -1,
        "taylorseer_order": 0,
        "steps_computation_mask": "",
    }
    knobs = method.to_dict()
    if method.name != "dbcache" or any(knobs[name] != value for name, value in plain.items()):
        raise Unsupported(
            "diffusers alone cannot run this setting: its First Block Cache is a DBCache with a "
            "threshold and no other knob\n# (F1, B0, no warm-up, no limits, no forecast, no mask)."
        )
    config = f"FirstBlockCacheConfig(threshold={knobs['residual_diff_threshold']!r})"
    return ["from diffusers import FirstBlockCacheConfig"], f"pipe.transformer.enable_cache({config})", ""
