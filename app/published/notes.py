"""What to know before a published figure is believed: facts about the tables, each with the figures that it
is about. Pure.

Every number here stands in ``presets/published.csv`` or follows from it; the tests look them up. What is
inferred says so.
"""

from __future__ import annotations

from typing import NamedTuple

from ..components.notes import NotesValue

FLUX, LIGHTNING = "FLUX.1-dev", "Qwen-Image-Lightning"
SCORES = ("image_reward", "clip_score")


class Note(NamedTuple):
    """``about``: the figures whose reading it changes, a quality or a speed; ``printed``: only where they
    are as printed.
    """

    title: str
    text: str
    about: tuple[str, ...]
    printed: bool = False
    models: tuple[str, ...] = (FLUX, LIGHTNING)


NOTES = (
    Note(
        "The headline speedups are ratios of TFLOPs",
        "In seconds it is 2.75× where it says 3.94×, and 4.57× where it says 7.37×: the seconds are those of "
        "the whole pipeline, "
        "text encoders and decoder included.",
        ("tflops",),
        models=(FLUX,),
    ),
    Note(
        "Four baselines stand in one page",
        "cache-dit's rows start from 32.9217 and 1.0412 (42.74 s) or from a second run's 32.9616 and 1.0445 "
        "(44.61 s), the cited "
        "methods' from 32.404 and 0.9898, Lightning's from its own. “Of its own baseline” sets each row "
        "against its own.",
        (*SCORES, "latency_s"),
        printed=True,
    ),
    Note(
        "PSNR was computed in 8 bits and wraps around",
        "Above 31 dB the printed values are too high by at most about 1 dB; below 30 they mean little: by "
        "that arithmetic, on "
        "noise, 26.6 dB reads 29.8, and two unrelated pictures read 27.9.",
        ("psnr",),
    ),
    Note(
        "CLIP score and ImageReward judge the prompt, not likeness",
        "Mild caching scores above its own baseline (33.0745 over 32.9217, 1.0591 over 1.0412), and two "
        "baseline runs differ by "
        "0.04 and 0.003. They do not say how close a picture stays to the uncached one.",
        SCORES,
        models=(FLUX,),
    ),
    Note(
        "The best configuration named stands in no table",
        "“F8B0_W8MC0 achieves the best Clip Score (33.007) and ImageReward (1.0333)”: no row prints either "
        "figure, and other "
        "rows print higher ones (33.0988, 1.0591).",
        SCORES,
        models=(FLUX,),
    ),
    Note(
        "DBCache(Fast) mixes two settings",
        "Its ImageReward 0.9271 is that of W8I2MC8, its CLIP score 32.552 that of W16I4MC8. W8I2MC8 itself "
        "has 32.4395, and is "
        "drawn there.",
        ("clip_score",),
        models=(FLUX,),
    ),
    Note(
        "34 % of the steps is 2.94× less compute, not 3.13×",
        "Its own TFLOPs say so: 17 of 50 steps. The cited methods' TFLOPs fit a baseline of 3719.50 that is "
        "not printed, not the "
        "3726.87 beside them; “of its own baseline” takes 3719.50.",
        ("tflops",),
        printed=True,
        models=(FLUX,),
    ),
    Note(
        "Three rows' TFLOPs are not what they seem",
        "Chipmunk's 1505.87 is 3719.50 / 2.47 to the cent: computed back from a speedup, we believe. In "
        "Δ-DiT(N=3) every second "
        "cached step is a plain reuse of all modules; by its name it would cost 2083. FORA(N=3) pays for "
        "output projections in "
        "its cached steps; as in its paper it would cost 1265.",
        ("tflops",),
        models=(FLUX,),
    ),
    Note(
        "Fast and Ultra are fixed schedules",
        "On FLUX.1-dev a threshold of 0.8 is never reached: their TFLOPs are whole numbers of computed "
        "steps, the same for every "
        "prompt. On Lightning the same 0.8 does decide: by its TFLOPs, F24B24 cached in about 70 % of the "
        "prompts.",
        (),
    ),
)


def read_with_care(model: str, quality: str, speed: str, own: bool = True) -> NotesValue:
    """All that concern a model; lit are those about the two figures at hand, as they are looked at."""
    return {
        "title": "Read with care",
        "notes": [
            {
                "title": note.title,
                "text": note.text,
                "on": bool({quality, speed} & set(note.about)) and not (note.printed and own),
            }
            for note in NOTES
            if model in note.models
        ],
    }
