"""Tests the published TFLOPs of Qwen-Image-Lightning (4 steps, 1024 x 1024): the text's length and the share
of cached prompts explain them.

cache-dit's benchmark counts 200 short prompts (20 to 28 tokens of text) and prints their mean. With a
threshold of 0.8, one step of four is cached if its change stays below it; the more first blocks, the fewer
prompts pass.
"""

from __future__ import annotations

import json

import pytest

from cache_engine.__main__ import main

CACHED = [
    "--method",
    "dbcache",
    "--set",
    "max_warmup_steps=2",
    "--set",
    "max_continuous_cached_steps=1",
    "--set",
    "residual_diff_threshold=0.8",
    "--set",
    "taylorseer_order=0",
]


def tflops(capsys: pytest.CaptureFixture[str], tokens: int, *more: str) -> float:
    assert (
        main(
            [
                "flops",
                "--model",
                "qwen-image-lightning-4",
                "--steps",
                "4",
                "--text-tokens",
                str(tokens),
                "--json",
                *more,
            ]
        )
        == 0
    )
    return json.loads(capsys.readouterr().out.splitlines()[-1])["tflops"]


@pytest.mark.parametrize("tokens", [20, 28])
def test_the_baseline(tokens: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert tflops(capsys, tokens) == pytest.approx(274.33, rel=0.005)


@pytest.mark.parametrize(
    ("blocks", "share", "published"),
    [
        ((1, 0), 1.0, 206.90),
        pytest.param((8, 8), 0.995, 224.29, marks=pytest.mark.long),
        pytest.param((12, 12), 0.965, 234.63, marks=pytest.mark.long),
        pytest.param((16, 16), 0.94, 244.25, marks=pytest.mark.long),
        ((24, 24), 0.70, 264.74),
    ],
)
def test_the_cached_rows(
    blocks: tuple[int, int], share: float, published: float, capsys: pytest.CaptureFixture[str]
) -> None:
    front, back = blocks
    counted = tflops(
        capsys,
        24,
        *CACHED,
        "--set",
        f"Fn_compute_blocks={front}",
        "--set",
        f"Bn_compute_blocks={back}",
        "--computed-steps",
        str(4 - share),
    )
    assert counted == pytest.approx(published, rel=0.002)
