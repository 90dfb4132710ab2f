"""The part of test_zerogpu that runs in its own process, with an empty cache and a replacement for the hub.
It prints JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

from app.engine import zerogpu
from app.page import build_page
from cache_engine import MODELS, EngineError, engine_of, loading
from cache_engine.models.hub import Weights, load_pipeline
from cache_engine.models.patch_autoencoder import PatchAutoencoder
from cache_engine.models.tiny_flux import FOLDER
from cache_engine.placement import Device, Placement
from tests.app import spaces

HUB_ID = "someone/tiny"


def main() -> dict[str, Any]:
    weights = Weights(HUB_ID, "SOMEONES_DIR", 10_000_000, "Apache-2.0")

    def load(placement: Placement) -> Any:
        return load_pipeline(
            "FluxPipeline",
            weights.source,
            placement,
            vae=PatchAutoencoder.from_pretrained(str(FOLDER / "vae")),
        )

    there = replace(
        MODELS[zerogpu.MODEL],
        load=load,
        unavailable=weights.unavailable,
        fetch=weights.fetch,
        revision=weights.source,
    )
    loading.device = lambda: Device("cpu", "a stand-in")
    report: dict[str, Any] = {"before": weights.unavailable()}
    try:
        zerogpu.prepare()  # loads the row itself, because this hub has no such repository
    except EngineError as error:
        report["not_there"] = str(error)
    loading.spec_of = lambda name: there
    zerogpu.prepare()
    sys.modules["spaces"] = spaces
    opened = next(block for block in build_page().blocks.values() if block.elem_id == "model")
    return report | {
        "opens_with": getattr(opened, "value", None),
        "after": weights.unavailable(),
        "engine": engine_of(zerogpu.MODEL).revision,
    }


if __name__ == "__main__":
    print(json.dumps(main()))
