"""Weights on the hub or in a local folder: where they are, whether they are available, and how they are
loaded.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..placement import Placement
from ..strict import EngineError

GB = 10**9
WEIGHT_FILE = re.compile(
    r"(?:diffusion_pytorch_)?model(?:-\d+-of-\d+)?(?:\.(?P<variant>\w+))?(?:-\d+-of-\d+)?"
    r"\.(?:safetensors|bin)",
    re.ASCII,
)


class Weights(NamedTuple):
    """A hub repository, and an environment variable that may name a local folder instead. ``size``: bytes of
    the weights.
    """

    hub_id: str
    variable: str
    size: int
    licence: str
    gated: bool = False
    index_file: str = "model_index.json"  # if this file exists, the folder or repository is complete

    @property
    def folder(self) -> str | None:
        """Return the local folder that the environment variable names, or None."""
        return os.environ.get(self.variable) or None

    def source(self) -> str:
        """Return the local folder, or else the hub id."""
        return self.folder or self.hub_id

    def revision(self) -> str:
        """Return what identifies the weights; see ``revision_of``."""
        return revision_of(self.source())

    def unavailable(self) -> str | None:
        """Return None if the weights are on this machine, otherwise one sentence with the remedy.

        A request downloads nothing: the owner of the machine decides what is fetched.
        """
        if self.folder:
            present = (Path(self.folder) / self.index_file).is_file()
            return (
                None
                if present
                else (
                    f"{self.variable}: {self.folder} holds no {self.index_file}; point it to the folder "
                    f"of {self.hub_id}, or unset it."
                )
            )
        if self.cached():
            return None
        if self.gated and not token():
            return (
                f"{self.hub_id} is gated ({self.licence}): accept its licence on "
                f"huggingface.co/{self.hub_id}, set HF_TOKEN and download it with `hf download "
                f"{self.hub_id}` ({self.size / GB:.0f} GB), or point {self.variable} to a local folder; the "
                "embedded model (tiny) runs at once."
            )
        return (
            f"{self.hub_id} is not on this machine: download it with `hf download {self.hub_id}` "
            f"({self.size / GB:.0f} GB) or point {self.variable} to a local folder; the embedded model "
            "(tiny) runs at once."
        )

    def cached(self) -> bool:
        """Return whether the hub's cache on this machine holds the index file."""
        from huggingface_hub import try_to_load_from_cache

        return isinstance(try_to_load_from_cache(self.hub_id, self.index_file), str)

    def fetch(self) -> None:
        """Download the index file. The files that it lists are downloaded when the pipeline is loaded.

        A gated repository is not tried without a token: ``unavailable`` names the remedy. Raises EngineError,
        or an error of the hub's client.
        """
        if self.folder or self.cached() or (self.gated and not token()):
            return
        if reason := self._no_room():
            raise EngineError(f"model: {reason}")
        from huggingface_hub import hf_hub_download

        hf_hub_download(self.hub_id, self.index_file)

    def file(self) -> Path:
        """Return the path of the index file; download it if the hub's cache lacks it."""
        if self.folder:
            return Path(self.folder) / self.index_file
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(self.hub_id, self.index_file))

    def _no_room(self) -> str | None:
        from huggingface_hub.constants import HF_HUB_CACHE

        place = next(
            folder for folder in (Path(HF_HUB_CACHE), *Path(HF_HUB_CACHE).parents) if folder.exists()
        )
        free = shutil.disk_usage(place).free
        if free > self.size:
            return None
        return (
            f"{self.hub_id} needs {self.size / GB:.0f} GB on disk and {place} has {free / GB:.0f} GB free; "
            "make room, or set HF_HOME to a larger disk."
        )


def revision_of(source: str) -> str:
    """Return a hub id unchanged. For a folder, return its name and a hash of its files' names, sizes and
    times: results are shared, and a path would tell others about this machine.
    """
    folder = Path(source)
    if not folder.is_dir():
        return source
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        facts = file.stat()
        digest.update(f"{file.relative_to(folder)} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return f"{folder.resolve().name} {digest.hexdigest()[:12]}"


def token() -> bool:
    """Return whether a hub token is set. The token itself is not stored."""
    from huggingface_hub import get_token

    return get_token() is not None


def load_pipeline(pipeline: str, source: Callable[[], str], placement: Placement, **parts: Any) -> Any:
    """Load the stock diffusers pipeline of this class, and move it to its place. ``parts`` replace the
    pipeline's own parts.

    source: a function that returns a hub id or a folder. The hub's client continues an interrupted download.
    """
    import diffusers
    import torch

    quantised = _quantised(placement)
    if quantised:
        parts["quantization_config"] = quantised
    place = source()
    pipe = getattr(diffusers, pipeline).from_pretrained(
        place, dtype=getattr(torch, placement.dtype), variant=variant_of(Path(place)), **parts
    )
    return placed(pipe, placement)


def variant_of(folder: Path) -> str | None:
    """Return the variant, such as ``fp16``, of the first part whose weight files all have a variant.

    Return None if a local folder has no such part.
    """
    for part in sorted(folder.iterdir()) if folder.is_dir() else ():
        files = (WEIGHT_FILE.fullmatch(file.name) for file in part.iterdir()) if part.is_dir() else ()
        variants = {file["variant"] for file in files if file}
        if variants and None not in variants:
            return sorted(variants)[0]
    return None


def placed(pipe: Any, placement: Placement) -> Any:
    """Move the pipeline to its place. The pipeline's progress bar is switched off,
    because we show our own.
    """
    pipe.set_progress_bar_config(disable=True)
    if placement.tiled and hasattr(getattr(pipe, "vae", None), "enable_tiling"):
        pipe.vae.enable_tiling()
    if placement.mode == "offload":
        pipe.enable_model_cpu_offload(device=placement.device)
        return pipe
    return pipe.to(placement.device)


def _quantised(placement: Placement) -> Any:
    """Return the configuration for 8-bit weights of transformer and text encoders, or None without 8 bits."""
    if placement.quantisation == "none":
        return None
    import diffusers
    import transformers
    from diffusers.quantizers import PipelineQuantizationConfig

    text: Any = transformers.TorchAoConfig(_int8())
    mapping: Any = {
        "transformer": diffusers.TorchAoConfig(_int8()),
        "text_encoder": text,
        "text_encoder_2": text,
    }
    return PipelineQuantizationConfig(quant_mapping=mapping)


def quantise(transformer: Any, placement: Placement) -> None:
    """Turn a loaded transformer's weights into 8 bits in place, if the placement asks for it.

    Single files need this: ``from_single_file`` of diffusers 0.42 accepts a configuration but changes no
    weight.
    """
    if placement.quantisation != "none":
        quantiser = _int8()
        importlib.import_module("torchao.quantization").quantize_(transformer, quantiser)


def _int8() -> Any:
    if importlib.util.find_spec("torchao") is None:
        raise EngineError("model: 8-bit weights need torchao; install it with `pip install torchao`.")
    return importlib.import_module("torchao.quantization").Int8WeightOnlyConfig()
