"""Tests damaged files of every kind that the page and the command line read: each is read, or refused in one
sentence, in bounded memory.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from app import presets, share
from cache_engine import EngineError
from cache_engine.files import Lora, Picture
from cache_engine.runs.run_folder import load_comparison
from cache_engine.whatif.survey_file import load as load_survey
from tests.engine.random_survey import random_survey
from tests.hardening.conftest import EXAMPLE, SETTING, Grown, Tell, is_sentence, often, request

pytestmark = pytest.mark.hardening


def garbled(content: bytes, chance: random.Random) -> bytes:
    """Cut, replace or change bytes."""
    kind = chance.randrange(4)
    if kind == 0:
        return content[: chance.randrange(len(content))]
    if kind == 1:
        return chance.randbytes(chance.choice((0, 1, 8, 500)))
    data = bytearray(content)
    for _ in range(chance.choice((1, 3, 40, 400))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def lora(path: Path) -> None:
    save_file(
        {
            f"transformer.single_transformer_blocks.0.attn.to_q.lora_{side}.weight": torch.zeros(2, 2)
            for side in ("A", "B")
        },
        path,
    )


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("result.json", (EXAMPLE / "result.json").read_bytes())


def preset(path: Path) -> None:
    path.write_text(
        json.dumps(
            {
                "title": "mine",
                "description": "-",
                "models": ["tiny"],
                "steps": 28,
                "method": SETTING.to_dict(),
            }
        ),
        encoding="utf-8",
    )


FILES: dict[str, tuple[str, Callable[[Path], object], Callable[[Path], object]]] = {
    "a PNG with a setting": (
        ".png",
        lambda path: shutil.copy(EXAMPLE / "accelerated.png", path),
        lambda path: share.from_file(str(path)),
    ),
    "a result.json": (
        ".json",
        lambda path: shutil.copy(EXAMPLE / "result.json", path),
        lambda path: share.from_file(str(path)),
    ),
    "a zip as a PNG": (".png", archive, lambda path: share.from_file(str(path))),
    "an input picture": (
        ".png",
        lambda path: Image.new("RGB", (64, 48), "red").save(path),
        lambda path: Picture(file=str(path)).opened(),
    ),
    "an input picture in GIF": (
        ".gif",
        lambda path: Image.new("P", (64, 48)).save(
            path, save_all=True, append_images=[Image.new("P", (64, 48), 3)] * 3
        ),
        lambda path: Picture(file=str(path)).opened(),
    ),
    "a LoRA": (".safetensors", lora, lambda path: check_lora(path)),
    "a preset": (".json", preset, presets.read),
    "a survey": (".npz", lambda path: random_survey().save(path), load_survey),
}


def check_lora(path: Path) -> None:
    from cache_engine.loading import load_model
    from cache_engine.loras import apply_loras

    asked = request().replaced(loras=[Lora(file=str(path))])
    with apply_loras(load_model("tiny"), asked):
        pass


@pytest.mark.parametrize("kind", FILES)
def test_files(kind: str, tmp_path: Path, tell: Tell) -> None:
    suffix, write, read = FILES[kind]
    whole = tmp_path / f"whole{suffix}"
    write(whole)
    content = whole.read_bytes()
    with contextlib.suppress(EngineError):
        read(whole)  # imports what it needs
    grown, tried, refused, chance = Grown(), 0, 0, random.Random(3)
    for number in range(often(40, 250)):
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(garbled(content, chance))
        tried += 1
        try:
            read(path)
        except EngineError as error:
            refused += 1
            told = str(error).replace(
                str(tmp_path), ""
            )  # a file of the command line is named as it was given
            is_sentence(told)
    assert refused > tried / 10
    tell(
        f"damaged files: {kind}",
        f"{tried}: {refused} refused in one sentence, the others read; {grown.megabytes()} MB more memory",
    )


def test_a_damaged_run_folder(tmp_path: Path, tell: Tell) -> None:
    chance, refused = random.Random(4), 0
    tries = often(40, 250)
    for number in range(tries):
        folder = tmp_path / str(number)
        shutil.copytree(EXAMPLE, folder)
        path = folder / chance.choice(("result.json", "baseline.png", "accelerated.png"))
        path.write_bytes(garbled(path.read_bytes(), chance))
        try:
            load_comparison(folder)
        except EngineError as error:
            refused += 1
            is_sentence(str(error).replace(str(tmp_path), ""))
    assert refused > tries / 4
    tell("damaged run folders", f"{tries}: {refused} refused in one sentence, the others read")


def test_arrays_that_claim_to_be_huge(tmp_path: Path) -> None:
    """A header of a few bytes that asks for terabytes."""
    path, grown = tmp_path / "survey.npz", Grown()
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
    )
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("facts.npy", head.getvalue())
    with pytest.raises(EngineError, match="is not a survey"):
        load_survey(path)
    grown.megabytes()
