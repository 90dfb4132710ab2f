"""ImageReward-v1.0: how much people are expected to like a picture for its prompt.

The weights and the architecture are the published ones. A ViT-L/16 reads the picture (224 x 224). A BERT that
attends to the picture reads the prompt (35 tokens). Five linear layers turn BERT's first output vector into
one number, which is then standardised. transformers' BLIP classes serve as ViT and BERT: only the names of
the weights differ. studies/image_reward_reference.py shows, on random weights, that the result equals that of
the authors' package.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..metric import Metric, MetricInput, WeightFiles

FILES = WeightFiles("ZhipuAI/ImageReward", "IMAGEREWARD_MODEL_DIR", ("ImageReward.pt", "med_config.json"))
WORDS = WeightFiles("bert-base-uncased", "IMAGEREWARD_MODEL_DIR", ("vocab.txt",))
TOKENS, HEAD_WIDTH, VISION_EPS = 35, 64, 1e-6
MEAN, DEVIATION = 0.16717362830052426, 1.0333394966054072
PIXEL_MEAN, PIXEL_DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
# Widths of the five layers. A dropout follows each of the first three; the layers' published numbers count
# the dropouts.
WIDTHS = (1024, 128, 64, 16, 1)
PLACES = (0, 2, 4, 6, 7)
# Maps the picture encoder's published names to transformers' names. The text encoder's names are the same in
# both.
RENAMED = (
    (r"^cls_token$", "embeddings.class_embedding"),
    (r"^pos_embed$", "embeddings.position_embedding"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"^norm\.", "post_layernorm."),
    (r"^blocks\.(\d+)\.norm(\d)\.", r"encoder.layers.\1.layer_norm\2."),
    (r"^blocks\.(\d+)\.attn\.qkv\.", r"encoder.layers.\1.self_attn.qkv."),
    (r"^blocks\.(\d+)\.attn\.proj\.", r"encoder.layers.\1.self_attn.projection."),
    (r"^blocks\.(\d+)\.mlp\.", r"encoder.layers.\1.mlp."),
)


class ImageReward(Metric):
    name = "image_reward"
    title = "ImageReward"
    better = "higher"
    reference = False
    source = "Xu et al. 2023 (arXiv 2304.05977), ImageReward-v1.0"
    memory = 2_000_000_000

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import torch
        from transformers import BertTokenizer

        state = torch.load(FILES.path("ImageReward.pt"), map_location="cpu", weights_only=True, mmap=True)
        self._net = network(state, json.loads(FILES.path("med_config.json").read_text(encoding="utf-8"))).to(
            device
        )
        self._words = BertTokenizer.from_pretrained(str(WORDS.path("vocab.txt").parent))
        self._side = self._net["vision"].config.image_size

    @classmethod
    def unavailable(cls) -> str | None:
        return FILES.unavailable(cls.name) or WORDS.unavailable(cls.name)

    def score(self, scored: MetricInput) -> float:
        words = self._words(
            scored.prompt, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
        )
        return reward(
            self._net,
            words["input_ids"].to(self.device),
            words["attention_mask"].to(self.device),
            prepared(scored.picture, self._side).to(self.device),
        )


def network(state: Mapping[str, Any], text: Mapping[str, Any]) -> Any:
    """Build the three parts of the network and load the published weights into them.

    The shapes of the weights and the text encoder's configuration give the size of every layer.

    state: the published weights, by name.  text: the published configuration of the text encoder. Raises
    RuntimeError if a weight is missing or has another shape.
    """
    import torch
    from transformers import BlipTextConfig, BlipVisionConfig
    from transformers.models.blip.modeling_blip import BlipVisionModel
    from transformers.models.blip.modeling_blip_text import BlipTextModel

    vision = {renamed(name): value for name, value in part(state, "blip.visual_encoder.").items()}
    width, patch = (
        vision["embeddings.class_embedding"].shape[-1],
        vision["embeddings.patch_embedding.weight"].shape[-1],
    )
    depth = 1 + max(int(name.split(".")[2]) for name in vision if name.startswith("encoder.layers."))
    side = round((vision["embeddings.position_embedding"].shape[1] - 1) ** 0.5)
    net = torch.nn.ModuleDict(
        {
            "vision": BlipVisionModel(
                BlipVisionConfig(
                    hidden_size=width,
                    intermediate_size=vision["encoder.layers.0.mlp.fc1.weight"].shape[0],
                    num_hidden_layers=depth,
                    num_attention_heads=width // HEAD_WIDTH,
                    image_size=side * patch,
                    patch_size=patch,
                    hidden_act="gelu",
                    layer_norm_eps=VISION_EPS,
                )
            ),
            "text": BlipTextModel(
                BlipTextConfig(
                    **{
                        name: text[name]
                        for name in (
                            "vocab_size",
                            "hidden_size",
                            "intermediate_size",
                            "num_hidden_layers",
                            "num_attention_heads",
                            "max_position_embeddings",
                            "layer_norm_eps",
                            "hidden_act",
                        )
                    },
                    encoder_hidden_size=width,
                    is_decoder=True,
                ),
                add_pooling_layer=False,
            ),  # a "decoder" here means that the network has cross-attention
            "head": torch.nn.Sequential(
                *(
                    torch.nn.Linear(before, after)
                    for before, after in zip((text["hidden_size"], *WIDTHS), WIDTHS)
                )
            ),
        }
    )
    net["vision"].load_state_dict(vision)
    words = part(state, "blip.text_encoder.")
    words.pop("embeddings.position_ids", None)  # holds just 0, 1, 2...
    net["text"].load_state_dict(words)
    net["head"].load_state_dict(
        {
            f"{at}.{kind}": state[f"mlp.layers.{place}.{kind}"]
            for at, place in enumerate(PLACES)
            for kind in ("weight", "bias")
        }
    )
    return net.eval()


def reward(net: Any, words: Any, counted: Any, image: Any) -> float:
    """Return the reward.

    words: token ids, (1, 35). counted: 1 for the ids that count, else 0, (1, 35). image: normalised, (1, 3,
    side, side).
    """
    import torch

    with torch.inference_mode():
        looked = net["vision"](pixel_values=image).last_hidden_state
        read = net["text"](
            input_ids=words,
            attention_mask=counted,
            encoder_hidden_states=looked,
            encoder_attention_mask=torch.ones(looked.shape[:2], dtype=torch.long, device=looked.device),
        )
        return (float(net["head"](read.last_hidden_state[:, 0].float())) - MEAN) / DEVIATION


def prepared(picture: Any, side: int) -> Any:
    """Scale the picture so that its shorter side fits (bicubic), cut out the middle, and normalise: (1, 3,
    side, side).
    """
    from torchvision.transforms import functional as F

    scaled: Any = F.resize(picture, [side], F.InterpolationMode.BICUBIC)
    square: Any = F.center_crop(scaled, [side])
    return F.normalize(F.to_tensor(square.convert("RGB")), list(PIXEL_MEAN), list(PIXEL_DEVIATION))[None]


def part(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def renamed(name: str) -> str:
    for pattern, replacement in RENAMED:
        name, replaced = re.subn(pattern, replacement, name)
        if replaced:
            return name
    return name
