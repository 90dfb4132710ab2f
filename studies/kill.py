"""Runs a full-size benchmark twice, once undisturbed and once killed at random moments, and compares tables
and pictures.

Start it by hand:

    python -m studies.kill --build build/kill [--prompts 20] [--kills 10] [--steps 28] [--small DIR]

The benchmark has 12 settings on the embedded model. --small names a folder on a file system of a few hundred
kB: the benchmark must then say in one sentence that the disk is full.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

COLOURS = ("red", "blue", "green", "yellow", "white")
THINGS = ("apple", "star", "fox", "strawberry")
RECIPES = (
    "F1B0_W4MC2_R0.2_T1O1",
    "F1B0_W4MC3_R0.3_T1O1",
    "F1B0_W4MC4_R0.2_T0O0",
    "F1B0_W4MC6_R0.32_T1O1",
    "F4B0_W4MC3_R0.12_T0O0",
    "F8B0_W4MC2_R0.24_T1O2",
    "F2B2_W4MC3_R0.3_T0O0",
    "F1B0_W8I2MC8_R0.8_T0O0",
    "F1B0_W8I4MC10_R0.8_T1O1",
    "FORA(N=3)",
    "TaylorSeer(N=4,O=2)",
    "FoCa(N=5)",
)


def command(build: Path, out: Path, steps: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "cache_engine",
        "benchmark",
        "--model",
        "tiny",
        "--steps",
        str(steps),
        "--true-cfg-scale",
        "1",
        "--threads",
        "1",
        "--prompts",
        str(build / "prompts.txt"),
        "--methods",
        str(build / "methods.txt"),
        "--metrics",
        "psnr,ssim,psnr_wrapped",
        "--out",
        str(out),
    ]


def rows(out: Path) -> list[bytes]:
    table = out / "table.jsonl"
    return table.read_bytes().splitlines() if table.exists() else []


def untimed(out: Path) -> list[dict[str, object]]:
    return [
        {name: value for name, value in json.loads(row).items() if name != "seconds"} for row in rows(out)
    ]


def pictures(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.png")}


def run_and_kill(build: Path, out: Path, steps: int, kills: int, wanted: int) -> int:
    """Run the benchmark, kill it ``kills`` times, and let it end. Return the number of kills that tore a
    line.

    The kills are spread over the run; each one comes at a random moment while a row is made.
    """
    chance, torn = random.Random(8), 0
    for kill in range(kills):
        process = subprocess.Popen(command(build, out, steps), stdout=subprocess.DEVNULL)
        at = min(wanted - 1, wanted * (kill + 1) // (kills + 1) + chance.randint(-5, 5))
        while len(rows(out)) < at and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.random())
        process.kill()
        process.wait()
        table = out / "table.jsonl"
        torn += table.exists() and not table.read_bytes().endswith(b"\n") and table.stat().st_size > 0
        print(f"killed at {len(rows(out))} rows", flush=True)
    subprocess.run(command(build, out, steps), check=True, stdout=subprocess.DEVNULL)
    return torn


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="an empty folder")
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument("--small", type=Path)
    options = parser.parse_args()
    build = options.build
    build.mkdir(parents=True, exist_ok=True)
    texts = [f"a {colour} {thing} on a black background" for thing in THINGS for colour in COLOURS][
        : options.prompts
    ]
    (build / "prompts.txt").write_text("\n".join(texts), encoding="utf-8")
    (build / "methods.txt").write_text("\n".join(RECIPES), encoding="utf-8")
    if options.small:
        refused = subprocess.run(
            command(build, options.small / "out", options.steps), capture_output=True, encoding="utf-8"
        )
        print(
            f"no room: exit code {refused.returncode}, {len(rows(options.small / 'out'))} rows kept: "
            f"{refused.stderr.strip()}"
        )
    begin = time.perf_counter()
    subprocess.run(command(build, build / "plain", options.steps), check=True)
    wanted = len(texts) * (1 + len(RECIPES))
    print(
        f"undisturbed: {len(rows(build / 'plain'))} rows of {wanted} in {time.perf_counter() - begin:.0f} s",
        flush=True,
    )
    torn = run_and_kill(build, build / "killed", options.steps, options.kills, wanted)
    same = (
        untimed(build / "plain") == untimed(build / "killed"),
        pictures(build / "plain") == pictures(build / "killed"),
    )
    keys = [(row["prompt"], row["setting"]) for row in untimed(build / "killed")]
    print(
        f"killed {options.kills} times ({torn} torn lines): {len(keys)} rows, {len(set(keys))} "
        f"different; tables equal except for seconds: {same[0]}; {len(pictures(build / 'killed'))} "
        f"pictures equal: {same[1]}"
    )
    return int(not all(same) or len(set(keys)) != wanted)


if __name__ == "__main__":
    sys.exit(main())
