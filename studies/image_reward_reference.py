"""Compares our ImageReward with its authors' package, on random weights.

Both sides make each weight from the weight's name. The package needs old dependencies and cannot run with the
current transformers, so its side runs in a separate environment:

    python -m venv ir && ir/bin/pip install torch torchvision "transformers==4.36.2" "timm==0.6.13" fairscale
    ir/bin/pip install --no-deps image-reward
    ir/bin/python -m studies.image_reward_reference        writes image_reward_reference.json (small
        and full size)
    python -m studies.image_reward_reference --check       compares ours with that file; the
        test suite checks the small size
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import tempfile
import types
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RECORDED = Path(__file__).with_suffix(".json")
PROMPTS = (
    "a small red apple on a blue background",
    "two foxes, zebra!",
    "an apple and a fox and a house and a star and a car and a boat and a tree and a dog and a cat and a cow "
    "and a pig and a hen",
)
LETTERS = "abcdefghijklmnopqrstuvwxyz,!"
VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "and",
    "on",
    "apple",
    "fox",
    "red",
    "blue",
    "##es",
    "##s",
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS),
]
SHARED = {
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
    "attention_probs_dropout_prob": 0.1,
    "hidden_dropout_prob": 0.1,
    "add_cross_attention": True,
    "model_type": "bert",
    "architectures": ["BertModel"],
}
SMALL = SHARED | {
    "vocab_size": len(VOCABULARY) + 2,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
FULL = SHARED | {
    "vocab_size": 30524,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}


def weight(name: str, shape: Iterable[int]) -> np.ndarray:
    """Make a weight from nothing but its name and shape."""
    shape = tuple(shape)
    drawn = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, dtype=np.float32)
    if len(shape) == 1:
        return drawn * 0.1 + ("norm" in name.lower() and name.endswith("weight"))
    return drawn / np.float32(np.sqrt(np.prod(shape[1:])) if len(shape) in (2, 4) else 10)


def picture(seed: int) -> Image.Image:
    """Draw coloured blocks, in a picture that is higher than wide."""
    blocks = np.random.default_rng(seed).integers(0, 256, (10, 8, 3), dtype=np.uint8)
    return Image.fromarray(blocks.repeat(32, axis=0).repeat(32, axis=1))


def theirs(size: str, folder: Path) -> Any:
    """Open the authors' model with its own tokenizer. Its files are in ``folder``.

    In this folder, ``bert-base-uncased`` is a folder with our vocabulary.
    """
    if "ImageReward" not in sys.modules:
        found = importlib.util.find_spec("ImageReward")
        assert found is not None
        assert found.submodule_search_locations
        for name, place in (("ImageReward", ""), ("ImageReward.models", "models")):
            # an empty package, because the authors' package also imports training and other scores
            shell = types.ModuleType(name)
            shell.__path__ = [str(Path(found.submodule_search_locations[0]) / place)]
            sys.modules[name] = shell
    package = importlib.import_module("ImageReward.ImageReward")
    text = FULL if size == "full" else SMALL
    (folder / "med_config.json").write_text(json.dumps(text), encoding="utf-8")
    (folder / "bert-base-uncased").mkdir(exist_ok=True)
    (folder / "bert-base-uncased" / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    os.chdir(folder)
    if size == "small":
        parts: Any
        vit: Any
        parts, vit = (
            importlib.import_module(f"ImageReward.models.BLIP.{name}") for name in ("blip_pretrain", "vit")
        )
        parts.create_vit = lambda *rest: (
            vit.VisionTransformer(img_size=224, patch_size=16, embed_dim=128, depth=2, num_heads=2),
            128,
        )
    model = package.ImageReward(med_config="med_config.json")
    model.mlp = package.MLP(text["hidden_size"])
    return model.eval()


def record() -> None:
    import torch
    import transformers

    found: dict[str, Any] = {
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "scores": {},
        "names": {},
    }
    for size in ("small", "full"):
        with tempfile.TemporaryDirectory() as place, torch.no_grad():
            model = theirs(size, Path(place))
            shapes = {
                name: tuple(value.shape)
                for name, value in model.state_dict().items()
                if value.is_floating_point()
            }
            model.load_state_dict(
                {name: torch.from_numpy(weight(name, shape)) for name, shape in shapes.items()}, strict=False
            )
            scores = []
            for seed, prompt in enumerate(PROMPTS):
                picture(seed).save("picture.png")
                scores.append(model.score(prompt, "picture.png"))
            os.chdir(Path(__file__).parent)
        found["scores"][size] = scores
        found["names"][size] = shapes
        print(size, scores)
    RECORDED.write_text(json.dumps(found, separators=(",", ":")), encoding="utf-8")


def ours(
    size: str, shapes: Mapping[str, Iterable[int]], folder: Path, made: Callable[[], Any]
) -> list[float]:
    """Score the pictures with our metric and the same weights, read from files in ``folder``.

    made: a function that opens the metric, while IMAGEREWARD_MODEL_DIR names ``folder``.
    """
    import torch

    from cache_engine.metric import MetricInput

    torch.save(
        {name: torch.from_numpy(weight(name, shape)) for name, shape in shapes.items()},
        folder / "ImageReward.pt",
    )
    (folder / "med_config.json").write_text(json.dumps(FULL if size == "full" else SMALL), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    os.environ["IMAGEREWARD_MODEL_DIR"] = str(folder)
    metric = made()
    return [metric.score(MetricInput(picture(seed), prompt)) for seed, prompt in enumerate(PROMPTS)]


def check() -> int:
    from cache_engine.metric import METRICS

    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    worst = 0.0
    for size, shapes in recorded["names"].items():
        with tempfile.TemporaryDirectory() as place:
            scores = ours(size, shapes, Path(place), METRICS["image_reward"])
        for our_score, their_score in zip(scores, recorded["scores"][size], strict=True):
            worst = max(worst, abs(our_score - their_score) / max(1.0, abs(their_score)))
            print(f"{size}: ours {our_score:.7f}, the package's {their_score:.7f}")
    print(f"largest difference, as a share of the score or of 1: {worst:.1e}")
    return int(worst > 1e-4)


if __name__ == "__main__":
    sys.exit(check() if "--check" in sys.argv else record())
