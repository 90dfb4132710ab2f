"""The settings that both sides run. The tests read them, and so does the reference in its own process."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

TWO = ("cond", "uncond")
ALWAYS = 1.0  # every change is below this threshold
MASK_SLOW = "1111111101110011100110010001"
MASK_MEDIUM = "1111110110001100011000110001"
MASK_FAST = "1111110100010000100000100001"
MASK_ULTRA = "1111001000001000000100000001"


class Setting(NamedTuple):
    """One setting. ``knobs``: by their letters. Missing knobs mean: F1 B0, interval 1, no limits, no mask,
    reuse.
    """

    steps: int
    knobs: dict[str, Any]
    streams: tuple[str, ...] = ("cond",)
    side: int = 4
    dtype: str = "float32"
    model: Literal["flux", "qwen-image"] = "flux"

    @property
    def method(self) -> dict[str, Any]:
        """Return DBCache's knobs by name."""
        return {"taylorseer_order": 0} | {NAMES[key]: value for key, value in self.knobs.items()}

    def __str__(self) -> str:
        parts = [f"{key}{value}" for key, value in self.knobs.items()]
        return "-".join(
            [
                f"{self.steps}steps",
                *parts,
                *([] if len(self.streams) == 1 else ["two"]),
                *([] if self.side == 4 else [f"side{self.side}"]),
                self.dtype,
                *([] if self.model == "flux" else [self.model]),
            ]
        )


QWEN_THRESHOLDS = (0.36, 0.45, 0.6)

NAMES = {
    "F": "Fn_compute_blocks",
    "B": "Bn_compute_blocks",
    "W": "max_warmup_steps",
    "I": "warmup_interval",
    "M": "max_cached_steps",
    "MC": "max_continuous_cached_steps",
    "R": "residual_diff_threshold",
    "O": "taylorseer_order",
    "SCM": "steps_computation_mask",
    "policy": "steps_computation_policy",
}


def at(
    steps: int, *, two: bool = False, side: int = 4, dtype: str = "float32", qwen: bool = False, **knobs: Any
) -> Setting:
    return Setting(
        steps,
        {"W": min(4, steps)} | knobs,
        TWO if two else ("cond",),
        side,
        dtype,
        "qwen-image" if qwen else "flux",
    )


FLOAT32 = (
    # warm-up, interval and limits, with a threshold that the change never reaches
    at(28, R=0.0),
    at(28, W=0, R=ALWAYS),
    at(28, W=8, R=ALWAYS),
    at(28, W=28, R=ALWAYS),
    at(28, W=8, MC=3, R=ALWAYS),
    at(28, MC=2, R=ALWAYS),
    at(28, MC=1, R=ALWAYS),
    at(28, W=8, M=5, R=ALWAYS),
    at(28, W=2, M=3, MC=2, R=ALWAYS),
    at(28, W=8, I=2, R=ALWAYS),
    at(28, W=8, I=3, MC=4, R=ALWAYS),
    at(50, W=8, I=2, MC=8, R=ALWAYS),
    at(50, W=8, I=2, MC=10, R=ALWAYS),
    at(50, W=8, I=4, MC=10, R=ALWAYS),
    at(50, W=16, I=4, MC=8, R=ALWAYS),
    at(50, MC=2, R=ALWAYS),
    at(50, F=4, MC=4, R=ALWAYS),
    at(50, W=8, MC=2, F=5, R=ALWAYS),
    # a threshold that the change reaches
    *(at(28, R=threshold) for threshold in (0.08, 0.15, 0.2, 0.24, 0.28, 0.4, 0.8)),
    at(28, W=0, R=0.25),
    at(28, W=8, I=2, R=0.25),
    at(28, W=8, I=4, MC=3, R=0.3),
    at(28, M=6, R=0.28),
    at(28, MC=1, R=0.3),
    at(28, MC=3, R=0.3),
    at(28, W=2, M=9, MC=2, R=0.35),
    at(50, W=8, R=0.24),
    at(50, MC=3, R=0.22),
    # masks
    at(28, W=8, SCM=MASK_FAST, R=ALWAYS),
    at(28, SCM=MASK_ULTRA, policy="static", R=0.08),
    at(28, MC=1, SCM=MASK_SLOW, R=ALWAYS),
    at(28, MC=1, SCM=MASK_SLOW, policy="static", R=ALWAYS),
    at(28, W=8, SCM=MASK_FAST, R=0.3),
    at(28, W=2, M=5, SCM=MASK_MEDIUM, R=0.3),
    at(28, W=8, I=2, SCM=MASK_SLOW, R=0.28),
    at(28, SCM="0" + MASK_FAST[1:], R=0.3),
    at(8, SCM="11110101", R=ALWAYS),
    at(8, SCM="11001001", policy="static", R=0.0),
    at(4, SCM="1101", R=ALWAYS),
    at(28, O=1, SCM=MASK_MEDIUM, policy="static", R=0.08),
    at(28, O=2, W=8, SCM=MASK_FAST, R=0.3),
    # first and last blocks, within and across the double (0, 1) and single (2..5) blocks
    *(
        at(28, F=front, B=back, R=0.28)
        for front, back in ((1, 1), (1, 4), (2, 0), (2, 1), (2, 3), (3, 0), (3, 2), (4, 1), (5, 0))
    ),
    at(8, F=2, B=1, W=2, R=ALWAYS),
    at(8, F=3, B=2, W=2, MC=2, R=ALWAYS),
    at(28, F=2, B=1, O=1, MC=3, R=0.3),
    at(28, F=3, B=2, O=2, W=8, R=ALWAYS),
    # TaylorSeer
    *(at(28, O=order, W=8, MC=3, R=ALWAYS) for order in (1, 2, 3)),
    *(
        at(8, O=order, W=warmup, R=ALWAYS)
        for order, warmup in ((1, 1), (1, 2), (1, 3), (1, 4), (2, 4), (2, 5), (3, 6))
    ),
    *(at(28, O=order, W=warmup, R=0.28) for order, warmup in ((1, 0), (1, 4), (2, 4), (3, 4))),
    at(28, O=1, MC=2, R=0.28),
    at(50, O=2, W=8, R=0.24),
    at(50, O=1, W=8, I=2, MC=8, R=ALWAYS),
    at(50, O=1, W=8, I=4, MC=10, R=ALWAYS),
    at(50, O=2, W=8, I=2, MC=8, R=ALWAYS),
    at(50, O=3, MC=4, R=0.3),
    at(28, O=2, M=8, R=0.3),
    # two streams: true CFG
    at(8, two=True, W=3, MC=2, R=ALWAYS),
    at(28, two=True, R=0.3),
    at(28, two=True, O=1, MC=3, R=0.3),
    at(28, two=True, O=2, W=8, I=2, R=0.25),
    at(28, two=True, F=3, B=1, M=7, R=0.28),
    at(28, two=True, W=8, SCM=MASK_FAST, R=0.3),
    at(28, two=True, SCM=MASK_ULTRA, policy="static", R=0.08),
    at(50, two=True, O=1, W=8, R=0.24),
    at(4, two=True, W=2, MC=1, R=ALWAYS),
    # few steps
    at(8, W=8, R=0.9),
    at(8, MC=2, R=0.5),
    at(8, R=0.5),
    at(8, O=1, MC=2, R=0.5),
    at(4, W=2, MC=1, R=0.8),
    at(4, W=1, R=ALWAYS),
    at(4, O=1, W=2, MC=1, R=0.8),
    at(4, W=0, R=0.6),
    at(1, W=0, R=0.5),
    # another picture size
    at(28, side=6, R=0.28),
    at(28, side=6, O=2, MC=3, R=0.28),
    # Qwen-Image: true CFG as in its default, and one stream as Lightning draws
    at(28, qwen=True, two=True, R=0.0),
    at(28, qwen=True, two=True, W=8, MC=3, R=ALWAYS),
    *(at(28, qwen=True, two=True, R=threshold) for threshold in QWEN_THRESHOLDS),
    *(at(28, qwen=True, two=True, O=order, MC=3, R=ALWAYS) for order in (1, 2)),
    at(28, qwen=True, two=True, F=2, B=2, R=ALWAYS),
    at(28, qwen=True, two=True, F=3, B=1, O=1, MC=2, R=ALWAYS),
    at(28, qwen=True, two=True, W=8, SCM=MASK_FAST, R=ALWAYS),
    at(50, qwen=True, two=True, W=8, I=2, MC=8, R=ALWAYS),
    *(at(4, qwen=True, F=front, B=back, W=2, MC=1, R=0.8) for front, back in ((1, 0), (2, 2))),
    at(8, qwen=True, W=4, MC=2, R=0.8),
    at(8, qwen=True, O=1, MC=2, R=ALWAYS),
    at(8, qwen=True, side=6, MC=2, R=ALWAYS),
)

# In bfloat16, the reference's change has 8 significant bits, so some decisions close to the threshold differ.
BFLOAT16 = (
    at(50, dtype="bfloat16", R=0.2),
    at(50, dtype="bfloat16", F=3, B=2, R=0.25),
    at(28, dtype="bfloat16", MC=2, R=0.22),
    at(28, dtype="bfloat16", R=0.4),
    at(28, dtype="bfloat16", two=True, R=0.3),
    *(at(50, dtype="bfloat16", two=True, R=threshold) for threshold in (0.25, 0.3, 0.35)),
)
