"""Record the comparison that the page shows before the first run, on an idle machine: assets/example/MODEL.

make example                   the embedded model
make example MODEL=NAME        another model

The model's first preset is compared on its first example prompt, several times.
"""

from __future__ import annotations

import sys
from pathlib import Path

from app.compare import example
from app.compare.setting import start_setting
from cache_engine import MODELS, EngineError, RunRequest
from cache_engine.comparison import run_comparison
from cache_engine.quality import difference
from cache_engine.runs.run_folder import save_comparison

SEED, REPEATS = 7, 5


def record(model: str, folder: Path, steps: int | None = None, repeats: int = REPEATS) -> None:
    """Compare, and write pictures and result.json into the model's folder under ``folder``."""
    row, (_, method) = MODELS[model], start_setting(model)
    if not row.examples:
        raise EngineError(f"model: {row.title} has no example prompts; record it with compare --out.")
    request = RunRequest(model=model, prompt=row.examples[0], seed=SEED, steps=steps)
    result = run_comparison(request, method, repeats=repeats)
    pictures = result.baseline.image, result.accelerated.image
    save_comparison(result, folder / model, difference=difference(*pictures))


def main(models: list[str]) -> int:
    try:
        for model in models or ["tiny"]:
            record(model, example.FOLDER)
            print(example.FOLDER / model)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
