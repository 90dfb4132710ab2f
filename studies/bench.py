"""Measures whether the time falls as much as the compute: all settings take turns in one run. It is not a
test.

python -m studies.bench [--runs 5] [--model tiny]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from cache_engine import METHODS, RunRequest, facts_of, resolve, run, run_comparison
from cache_engine.commands.shared import table

SETTINGS = {
    "threshold 0 (overhead)": dict(residual_diff_threshold=0),
    "one in two": dict(
        max_warmup_steps=2, max_continuous_cached_steps=1, residual_diff_threshold=1, taylorseer_order=0
    ),
    "one in three, forecast": dict(
        max_warmup_steps=4, max_continuous_cached_steps=2, residual_diff_threshold=1
    ),
    "one in six, forecast": dict(
        max_warmup_steps=4, max_continuous_cached_steps=5, residual_diff_threshold=1
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=5, help="number of timed runs of each setting; the settings take turns"
    )
    parser.add_argument("--model", default="tiny")
    options = parser.parse_args()
    request = resolve(
        RunRequest(model=options.model, prompt="a small red apple on a blue background", seed=7)
    )
    baseline = METHODS["baseline"]()
    methods = {name: METHODS["dbcache"](**knobs) for name, knobs in SETTINGS.items()}

    plain = run(request, baseline)  # this run also loads the model, counts the compute and warms up
    begin = time.perf_counter()
    run_comparison(request, methods["one in three, forecast"])
    whole = time.perf_counter() - begin

    seconds: dict[str, list[float]] = {name: [] for name in ("baseline", *methods)}
    ratio: dict[str, float] = {}
    for _ in range(options.runs):
        plain = run(request, baseline)
        seconds["baseline"].append(plain.seconds.denoise)
        for name, method in methods.items():
            result = run(request, method)
            seconds[name].append(result.seconds.denoise)
            ratio[name] = plain.tflops / result.tflops
    reference = statistics.median(seconds["baseline"])
    rows = [("setting", "seconds", "time ratio", "compute ratio", "share of the promise")]
    rows.append(("baseline", f"{reference:.3f}", "1.00", "1.00", ""))
    for name in methods:
        median = statistics.median(seconds[name])
        promised = 1 - 1 / ratio[name]
        share = f"{(1 - median / reference) / promised:.2f}" if promised > 0.01 else ""
        rows.append((name, f"{median:.3f}", f"{reference / median:.2f}", f"{ratio[name]:.2f}", share))
    facts = facts_of(request)
    print(
        f"{options.model}: {facts.steps} steps, {len(facts.streams)} calls a step, {plain.engine.device}, "
        f"{plain.engine.dtype}, {plain.engine.threads} threads, median of {options.runs} runs in "
        f"turn\n{table(rows)}"
    )
    print(
        "share of the promise: how much of the time was saved, divided by how much of the compute was saved"
    )
    print(f"one whole comparison, with the model already loaded: {whole:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
