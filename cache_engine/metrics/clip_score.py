"""CLIP score: 100 times the cosine between the picture's and the prompt's embeddings."""

from __future__ import annotations

import os
from typing import Any

from ..metric import Metric, MetricInput, WeightFiles

FILES = WeightFiles(
    "laion/CLIP-ViT-g-14-laion2B-s12B-b42K", "CLIP_MODEL_DIR", ("config.json", "preprocessor_config.json")
)


class ClipScore(Metric):
    """The CLIP score. The model's own preprocessor scales and crops the picture; a prompt is cut at the
    encoder's length.
    """

    name = "clip_score"
    title = "Clip Score"
    better = "higher"
    reference = False
    source = "Hessel et al. 2021, CLIP ViT-g-14 laion2B"
    memory = 5_500_000_000

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

        source = os.environ.get(FILES.variable) or FILES.hub_id
        model: Any = CLIPModel.from_pretrained(source)
        self._model = model.to(device).eval()
        self._images: Any = CLIPImageProcessor.from_pretrained(source)
        self._words: Any = CLIPTokenizer.from_pretrained(source)

    @classmethod
    def unavailable(cls) -> str | None:
        return FILES.unavailable(cls.name)

    def score(self, scored: MetricInput) -> float:
        import torch

        length = self._model.config.text_config.max_position_embeddings
        words = self._words(
            [scored.prompt], padding=True, truncation=True, max_length=length, return_tensors="pt"
        )
        image = self._images(images=scored.picture.convert("RGB"), return_tensors="pt")
        with torch.inference_mode():
            output = self._model(**words.to(self.device), pixel_values=image["pixel_values"].to(self.device))
            return 100 * float(torch.cosine_similarity(output.image_embeds, output.text_embeds))
