"""Checks a real GPU in one command: it prints published figures beside those that this machine measures.

make gpu-check                    real FLUX.1-dev weights (FLUX_DIR or HF_TOKEN); records assets/example/
make gpu-check WEIGHTS=random     no download: FLUX.1-dev in full size with random weights; every published
                                  setting runs at threshold 1, so that step numbers alone decide
python -m tools.gpu_check --weights random --tiny      the same on a tiny model and any device, as a trial
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from cache_engine.__main__ import main as command
from cache_engine.devices import device, wrong_torch
from cache_engine.flops import costs
from cache_engine.method import METHODS, Method, method_from
from cache_engine.models.catalog import MODELS, resolve
from cache_engine.records import RunRequest
from cache_engine.sites.attach import attached
from cache_engine.sites.clock import Clock
from cache_engine.strict import EngineError

ROOT = Path(__file__).resolve().parent.parent
STEPS = 50
PROMPT = MODELS["flux-dev"].examples[0]
HEAD = (
    "setting",
    "TFLOPs",
    "published",
    "seconds",
    "published",
    "faster",
    "published",
    "cache MB",
    "syncs",
    "schedule",
)


class PublishedSetting(NamedTuple):
    """A row of the published table, which was measured on one NVIDIA L20."""

    title: str
    knobs: dict[str, Any]
    tflops: float
    seconds: float | None
    faster: float | None


def settings() -> list[PublishedSetting]:
    """Return FLUX.1-dev's presets that have a published figure."""
    found = []
    for path in sorted((ROOT / "presets").glob("2*.json")):
        preset = json.loads(path.read_text(encoding="utf-8"))
        said = preset.get("published")
        if said and preset["models"] == ["flux-dev"]:
            found.append(
                PublishedSetting(
                    preset["title"],
                    preset["method"],
                    said["tflops"],
                    said.get("latency_s"),
                    said.get("speedup_latency"),
                )
            )
    return found


class MeasuredRun(NamedTuple):
    seconds: float
    schedule: str
    tflops: float
    cache: int  # bytes
    syncs: int


@contextmanager
def synchronisations(kind: str) -> Iterator[list[Any]]:
    """Record torch's warnings that the host waits for the device. Only CUDA reports them."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        if kind == "cuda":
            torch.cuda.set_sync_debug_mode("warn")
        try:
            yield seen
        finally:
            if kind == "cuda":
                torch.cuda.set_sync_debug_mode("default")
            seen[:] = [one for one in seen if "synchronizing" in str(one.message)]


def random_pipeline(tiny: bool, kind: str) -> tuple[Any, dict[str, Any]]:
    """Make a FluxPipeline whose transformer has random weights, and its arguments with random text
    embeddings.
    """
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    config = dict(MODELS["flux-dev"].config)
    if tiny:
        config |= dict(
            num_layers=2,
            num_single_layers=4,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            axes_dims_rope=(4, 4, 8),
        )
    dtype = torch.bfloat16 if kind == "cuda" else torch.float32
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        with torch.device(kind):
            transformer = FluxTransformer2DModel(**config).eval()
    finally:
        torch.set_default_dtype(torch.float32)
    parts: dict[str, Any] = dict.fromkeys(
        ("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
    )
    pipe = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), transformer=transformer, **parts
    )
    pipe.set_progress_bar_config(disable=True)
    text = 16 if tiny else 512
    side = 128 if tiny else 1024
    return pipe, dict(
        prompt_embeds=torch.randn(1, text, config["joint_attention_dim"], device=kind, dtype=dtype),
        pooled_prompt_embeds=torch.randn(1, config["pooled_projection_dim"], device=kind, dtype=dtype),
        width=side,
        height=side,
        num_inference_steps=STEPS,
        output_type="latent",
    )


def draw(pipe: Any, given: dict[str, Any], method: Method, kind: str) -> MeasuredRun:
    request = resolve(RunRequest(model="flux-dev", prompt="-", steps=STEPS, width=1024, height=1024))
    cost = costs(request, method.plan(MODELS["flux-dev"].facts(request))) if fits(method) else None
    clock = Clock(torch.device(kind))
    with synchronisations(kind) as syncs, attached(pipe, method, clock=clock) as session:
        if cost is not None:
            session.costs = cost
        pipe(generator=torch.Generator("cpu").manual_seed(0), **given)
        trace, held = session.trace, sum(memory.bytes for memory in session.memory.values())
    assert clock.loop_begins is not None
    assert clock.loop_ends is not None
    return MeasuredRun(
        clock.loop_ends - clock.loop_begins,
        "".join(call.mode for call in trace),
        sum(call.tflops for call in trace),
        held,
        len(syncs),
    )


def fits(method: Method) -> bool:
    return method.to_dict().get("Fn_compute_blocks", 0) < 57


def with_random_weights(tiny: bool) -> int:
    kind = device().kind
    pipe, given = random_pipeline(tiny, kind)
    if kind == "cuda":
        torch.cuda.reset_peak_memory_stats()
    pipe(**given | {"num_inference_steps": 2})  # warm-up: CUDA chooses its kernels here
    plain = bare(pipe, given, kind)
    baseline = draw(pipe, given, METHODS["baseline"](), kind)
    rows = [
        HEAD,
        (
            "baseline",
            f"{baseline.tflops:.2f}",
            "3726.87",
            f"{baseline.seconds:.2f}",
            "42.74",
            "1.00",
            "1.00",
            "0",
            baseline.syncs,
            baseline.schedule,
        ),
    ]
    for one in settings():
        knobs = one.knobs | {"residual_diff_threshold": 1.0}
        if tiny:
            knobs |= {"Fn_compute_blocks": min(one.knobs["Fn_compute_blocks"], 2)}
        found = draw(pipe, given, method_from(knobs), kind)
        rows.append(
            (
                one.title,
                f"{found.tflops:.2f}",
                f"{one.tflops:.2f}",
                f"{found.seconds:.2f}",
                str(one.seconds or ""),
                f"{baseline.seconds / found.seconds:.2f}",
                str(one.faster or ""),
                f"{found.cache / 2**20:.0f}",
                found.syncs,
                found.schedule,
            )
        )
    show(rows)
    print(
        f"\nengine's own time: {(baseline.seconds - plain) / STEPS * 1000:+.2f} ms a step ({plain:.2f} s "
        f"without it)"
    )
    if kind == "cuda":
        print(f"peak memory: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
    if tiny:
        print("tiny model: this only shows that the check runs; the TFLOPs are FLUX.1-dev's")
    return 0


def bare(pipe: Any, given: dict[str, Any], kind: str) -> float:
    """Return the seconds of the pipeline without any method attached."""
    clock = Clock(torch.device(kind))
    begin = clock.synchronise()
    pipe(generator=torch.Generator("cpu").manual_seed(0), **given)
    return clock.synchronise() - begin


def with_real_weights() -> int:
    """Run each published setting on the first example prompt. The page shows the last run as its example."""
    rows = [
        ("setting", "TFLOPs", "published", "seconds", "published", "faster", "published", "PSNR", "schedule")
    ]
    for one in settings():
        folder = ROOT / "assets" / "example"
        knobs = [
            part
            for name, value in one.knobs.items()
            if name != "name"
            for part in ("--set", f"{name}={value}")
        ]
        code = command(
            [
                "compare",
                "--model",
                "flux-dev",
                "--prompt",
                PROMPT,
                "--seed",
                "0",
                "--steps",
                str(STEPS),
                "--size",
                "1024x1024",
                "--method",
                one.knobs["name"],
                *knobs,
                "--out",
                str(folder),
            ]
        )
        if code:
            return code
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        side = result["accelerated"]
        psnr = result["psnr_db"]
        rows.append(
            (
                one.title,
                f"{side['tflops']:.2f}",
                f"{one.tflops:.2f}",
                f"{side['seconds']['denoise']:.2f}",
                str(one.seconds or ""),
                f"{result['speedup']:.2f}",
                str(one.faster or ""),
                "identical" if psnr is None else f"{psnr:.1f}",
                side["schedule"],
            )
        )
    show(rows)
    print(f"\nrecorded: {ROOT / 'assets' / 'example'}")
    return 0


def show(rows: list[tuple[Any, ...]]) -> None:
    widths = [max(len(str(row[place])) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", choices=("real", "random"), default="real")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args(arguments)
    found = device()
    print(f"{found.kind}: {found.name}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    print(
        "published: cache-dit's benchmark on one NVIDIA L20, with the time of whole pictures; here the "
        "time is that of the denoising loop\n"
    )
    if found.kind != "cuda" and not options.tiny:
        print(
            wrong_torch()
            or "gpu-check: no CUDA device was found; run it on a machine with a CUDA device, or add --tiny.",
            file=sys.stderr,
        )
        return 2
    try:
        return with_random_weights(options.tiny) if options.weights == "random" else with_real_weights()
    except EngineError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
