"""Notes that a reader should know before trusting a published figure. Each note names the figures that it
concerns.

Every number in the notes is in ``presets/published.csv`` or follows from it; the tests check this. If we
infer a fact, the note says so.
"""

from __future__ import annotations

from typing import NamedTuple

from ..components.notes import NotesValue
from .figures import FigureChoice
from .tables import SCORES

FLUX, LIGHTNING = "FLUX.1-dev", "Qwen-Image-Lightning"


class CareNote(NamedTuple):
    """A note on the tables.

    figures: the qualities and speeds that the note concerns.
    only_as_printed: True if the note matters only while figures are shown as printed.
    """

    title: str
    text: str
    figures: tuple[str, ...]
    only_as_printed: bool = False
    models: tuple[str, ...] = (FLUX, LIGHTNING)


NOTES = (
    CareNote(
        "The headline speedups are ratios of TFLOPs",
        "In measured seconds, the row printed as 3.94× is 2.75× faster, and the row printed as 7.37× "
        "is 4.57× faster. These seconds cover the whole pipeline, including text encoders and decoder.",
        ("tflops",),
        models=(FLUX,),
    ),
    CareNote(
        "Four baselines on one page",
        "cache-dit's rows start from 32.9217 and 1.0412 (42.74 s), or from 32.9616 and 1.0445 of a second "
        "run (44.61 s). The rows of the cited methods start from 32.404 and 0.9898, and Lightning's rows "
        "from a fourth baseline. “Against its baseline” compares each row with its own baseline.",
        (*SCORES, "latency_s"),
        only_as_printed=True,
    ),
    CareNote(
        "PSNR was computed in 8 bits and wraps around",
        "Above 31 dB the printed values are too high by at most about 1 dB. Below 30 dB they mean little: "
        "with that arithmetic, noise of 26.6 dB reads 29.8, and two unrelated pictures read 27.9.",
        ("psnr",),
    ),
    CareNote(
        "CLIP score and ImageReward judge the prompt, not likeness",
        "Mild caching scores above its own baseline (33.0745 against 32.9217, 1.0591 against 1.0412), "
        "and two baseline runs differ by 0.04 and 0.003. So these scores do not tell how close a "
        "picture is to the uncached picture.",
        SCORES,
        models=(FLUX,),
    ),
    CareNote(
        "The configuration called the best is in no table",
        "“F8B0_W8MC0 achieves the best Clip Score (33.007) and ImageReward (1.0333)”: no row prints either "
        "figure, and other rows print higher ones (33.0988, 1.0591).",
        SCORES,
        models=(FLUX,),
    ),
    CareNote(
        "DBCache(Fast) mixes two settings",
        "Its ImageReward of 0.9271 belongs to W8I2MC8, its CLIP score of 32.552 to W16I4MC8. W8I2MC8 "
        "itself has a CLIP score of 32.4395, and the chart shows this value.",
        ("clip_score",),
        models=(FLUX,),
    ),
    CareNote(
        "34 % of the steps is 2.94× less compute, not 3.13×",
        "Its own TFLOPs show this: they are those of 17 of 50 steps. The TFLOPs of the cited methods "
        "fit a baseline of 3719.50, which is not printed, and not the printed 3726.87. “Against its "
        "baseline” uses 3719.50.",
        ("tflops",),
        only_as_printed=True,
        models=(FLUX,),
    ),
    CareNote(
        "Three rows' TFLOPs need an explanation",
        "Chipmunk's 1505.87 is exactly 3719.50 / 2.47: we believe that it was computed from a speedup. "
        "In Δ-DiT(N=3), every second cached step only reuses all modules; the method as named would "
        "cost 2083. FORA(N=3) computes output projections in its cached steps; as described in its "
        "paper it would cost 1265.",
        ("tflops",),
        models=(FLUX,),
    ),
    CareNote(
        "Fast and Ultra are fixed schedules",
        "On FLUX.1-dev, the change never reaches a threshold of 0.8: the TFLOPs are those of whole "
        "computed steps, the same for every prompt. On Lightning, the same threshold of 0.8 does "
        "decide: by its TFLOPs, F24B24 cached in about 70 % of the prompts.",
        (),
    ),
)


def care_notes(model: str, choice: FigureChoice) -> NotesValue:
    """Return all notes on a model's tables. Notes about the two chosen figures are open and marked."""
    shown = {choice.quality, choice.speed}
    return {
        "title": "Read with care",
        "notes": [
            {
                "title": note.title,
                "text": note.text,
                "on": bool(shown & set(note.figures)) and not (note.only_as_printed and choice.relative),
            }
            for note in NOTES
            if model in note.models
        ],
    }
