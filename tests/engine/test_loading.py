"""Tests loading: the placement is decided first, and every error while loading becomes one sentence with the
remedy.
"""

from __future__ import annotations

import errno
import http.client
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
import safetensors
import torch
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError
from torch import nn

from cache_engine import devices, loading
from cache_engine.commands import doctor
from cache_engine.models import hub
from cache_engine.models.catalog import MODELS, spec_of
from cache_engine.placement import GIB, Device, Placement, place
from cache_engine.strict import EngineError
from tests.engine.tiny_models import tiny

FLUX, QWEN = MODELS["flux-dev"], MODELS["qwen-image"]


def card(free: int, bfloat16: bool = True) -> Device:
    return Device("cuda", "a card", free * GIB, 80 * GIB, bfloat16)


@pytest.mark.parametrize(
    ("free", "mode", "quantisation"),
    [
        (80, "resident", "none"),
        (40, "resident", "none"),
        (36, "offload", "none"),
        (29, "offload", "none"),
        (24, "resident", "int8"),
        (18, "offload", "int8"),
    ],
)
def test_flux_dev_is_placed_by_the_free_memory(free: int, mode: str, quantisation: str) -> None:
    placement = place(FLUX.title, FLUX.memory, card(free))
    assert (placement.mode, placement.quantisation, placement.dtype) == (mode, quantisation, "bfloat16")
    assert placement.tiled == (placement[2:4] != ("resident", "none"))


def test_what_fits_nowhere_is_refused_with_what_it_needs() -> None:
    with pytest.raises(
        EngineError, match=r"^device: FLUX\.1-dev needs at least 17\.\d GiB on a card, which has 8\.0 GiB"
    ):
        place(FLUX.title, FLUX.memory, card(8))
    with pytest.raises(EngineError, match="install torchao for 8-bit weights"):
        place(FLUX.title, FLUX.memory, card(20), quantiser=False)


def test_float16_is_refused_where_there_is_nothing_better() -> None:
    with pytest.raises(
        EngineError, match=r"has no bfloat16, and float16 makes FLUX\.1-dev draw black pictures"
    ):
        place(FLUX.title, FLUX.memory, card(16, bfloat16=False))


def test_a_cpu_runs_in_float32() -> None:
    placement = place(QWEN.title, QWEN.memory, Device("cpu", "a CPU"))
    assert (placement.device, placement.dtype, placement.mode) == ("cpu", "float32", "resident")


def test_more_memory_never_fits_less() -> None:
    order = [("offload", "int8"), ("resident", "int8"), ("offload", "none"), ("resident", "none")]
    ranks = [order.index(place(FLUX.title, FLUX.memory, card(free))[2:4]) for free in range(18, 80)]
    assert ranks == sorted(ranks)


# ---- errors ----
def response() -> httpx2.Response:
    return httpx2.Response(403, request=httpx2.Request("GET", "https://hub.invalid/"))


def wrapped(cause: Exception) -> Exception:
    """Wrap an error as loaders do: an OSError without details, with the real error as its cause."""
    error = OSError("Can't load the model")
    error.__cause__ = cause
    return error


FAULTS = {
    "out of memory": (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 72.00 MiB"),
        "does not fit this device's memory",
    ),
    "gated": (wrapped(GatedRepoError("403", response=response())), "is gated and this token may not read it"),
    "no repository": (
        RepositoryNotFoundError("404", response=response()),
        "is not on the hub, or is private",
    ),
    "offline": (wrapped(LocalEntryNotFoundError("no")), "the hub cannot be reached"),
    "cut off": (http.client.IncompleteRead(b""), "was interrupted .*try again, and it continues"),
    "timed out": (wrapped(httpx2.ReadTimeout("late")), "was interrupted .*try again, and it continues"),
    "disk full": (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
    "damaged": (safetensors.SafetensorError("Error while deserializing header"), "is damaged or incomplete"),
    "anything else": (
        RuntimeError("size mismatch\nfor x"),
        r"cannot be loaded from \S+ \(RuntimeError: size mismatch\)",
    ),
    "unsupported": (None, "Linear is not described"),
}


@pytest.fixture(autouse=True)
def nothing_loaded() -> Any:
    loading.unload_model()
    yield
    loading.unload_model()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_load_is_one_sentence_and_leaves_nothing(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error, sentence = FAULTS[fault]

    def load(placement: Placement) -> Any:
        if error is not None:
            raise error
        return SimpleNamespace(transformer=nn.Linear(2, 2))

    spec = MODELS["flux-schnell"]
    changed = type(spec)(**{**vars(spec), "load": load, "unavailable": lambda: None})
    monkeypatch.setitem(MODELS._filled(), "flux-schnell", changed)
    with pytest.raises(EngineError, match=sentence) as caught:
        loading.load_model("flux-schnell")
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    assert not loading._LOADED
    monkeypatch.undo()
    with pytest.raises(EngineError, match="gated"):  # the next model is checked as if nothing had happened
        loading.load_model("flux-schnell")


def test_a_gated_model_without_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub, "token", lambda: False)
    monkeypatch.delenv("FLUX_DIR", raising=False)
    with pytest.raises(
        EngineError, match=r"FLUX\.1-dev is gated .*accept its licence on .*set HF_TOKEN .*or point FLUX_DIR"
    ):
        loading.load_model("flux-dev")


def test_a_request_downloads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "token", lambda: True)
    monkeypatch.delenv("FLUX_DIR", raising=False)
    with pytest.raises(
        EngineError, match=r"FLUX\.1-dev is not on this machine: download it with `hf download"
    ):
        loading.load_model("flux-dev")


@pytest.mark.parametrize("reason", ["not here", "too large", "unknown"])
def test_a_model_that_cannot_be_had_leaves_the_loaded_one(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = loading.load_model("tiny")
    if reason == "too large":
        changed = {**vars(MODELS["flux-dev"]), "unavailable": lambda: None}
        monkeypatch.setitem(MODELS._filled(), "flux-dev", type(MODELS["flux-dev"])(**changed))
        monkeypatch.setattr(loading, "device", lambda: card(8)._replace(total=8 * GIB))
    with pytest.raises(EngineError, match=r"^model: |^device: .* needs at least"):
        loading.load_model("no-such-row" if reason == "unknown" else "flux-dev")
    monkeypatch.undo()
    assert loading.load_model("tiny") is loaded


def test_a_wrong_folder_names_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLUX_DIR", str(tmp_path))
    with pytest.raises(
        EngineError, match=r"^model: FLUX_DIR: .* holds no model_index\.json; point it to the folder of "
    ):
        loading.load_model("flux-dev")


def test_a_folders_revision_changes_with_its_files_and_tells_no_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "my-flux"
    (place / "transformer").mkdir(parents=True)
    (place / "model_index.json").write_text("{}", encoding="utf-8")
    monkeypatch.setenv("FLUX_DIR", str(place))
    spec = MODELS["flux-dev"]
    first = spec.revision()
    assert re.fullmatch(r"my-flux [0-9a-f]{12}", first)
    assert spec.revision() == first
    (place / "transformer" / "model.safetensors").write_bytes(b"weights")
    assert spec.revision() != first
    monkeypatch.delenv("FLUX_DIR")
    assert spec.revision() == "black-forest-labs/FLUX.1-dev"


def test_lightning_wants_its_lora_beside_the_base_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    base, lora = tmp_path / "base", tmp_path / "lora"
    base.mkdir()
    lora.mkdir()
    (base / "model_index.json").write_text("{}", encoding="utf-8")
    monkeypatch.setenv("QWEN_IMAGE_DIR", str(base))
    monkeypatch.setenv("QWEN_IMAGE_LIGHT_DIR", str(lora))
    spec = MODELS["qwen-image-lightning-4"]
    assert "QWEN_IMAGE_LIGHT_DIR" in (spec.unavailable() or "")
    (lora / "Qwen-Image-Lightning-4steps-V1.0.safetensors").touch()
    assert spec.unavailable() is None
    assert spec.revision().endswith("Qwen-Image-Lightning-4steps-V1.0.safetensors")


# ---- any folder ----
def folder(
    path: Path, pipeline: str = "FluxPipeline", transformer: str | None = "FluxTransformer2DModel"
) -> Path:
    index = {"_class_name": pipeline} | ({"transformer": ["diffusers", transformer]} if transformer else {})
    (path / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    if transformer == "FluxTransformer2DModel":
        tiny(transformer).save_config(path / "transformer")
    return path


def test_a_folder_says_what_it_holds(tmp_path: Path) -> None:
    spec = spec_of(str(folder(tmp_path)))
    assert (spec.family, spec.transformer, spec.blocks) == ("FluxPipeline", "FluxTransformer2DModel", 4)
    with pytest.raises(
        EngineError, match="is not known; choose one of"
    ):  # the names that a visitor of the page may use
        MODELS[str(tmp_path)]


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (dict(pipeline="StableDiffusionXLPipeline", transformer=None), "without a transformer"),
        (dict(transformer="MochiTransformer3DModel"), "MochiTransformer3DModel, which is not described"),
    ],
)
def test_a_folder_that_cannot_be_cached_says_why(made: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=sentence):
        spec_of(str(folder(tmp_path, **made)))


def test_neither_row_nor_folder_nor_hub_id(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="or name a diffusers folder, a hub id"):
        spec_of("no-such-row")
    with pytest.raises(EngineError, match="neither a row of `models`, a folder, nor a hub id"):
        spec_of(str(tmp_path / "missing"))
    with pytest.raises(EngineError, match=r"cannot be read from the hub|is not on this machine"):
        spec_of("nobody/nothing")
    with pytest.raises(EngineError, match=r"holds no model_index\.json"):
        spec_of(str(tmp_path))


# ---- doctor ----
def test_doctor_sees_a_card_that_this_torch_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "nvidia_card", lambda: "NVIDIA L20")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "is a CPU build, but this machine has an NVIDIA L20; install a CUDA build" in (
        devices.wrong_torch() or ""
    )
    answer = doctor.run(doctor.argparse.Namespace())
    assert answer.code == 1
    assert "problem" in answer.text


def test_doctor_lists_every_row_and_how_it_would_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "device", lambda: card(26))
    monkeypatch.setattr(doctor, "installed", lambda package: True)
    told = {model["model"]: model for model in doctor.run(doctor.argparse.Namespace()).data["models"]}
    assert set(told) == set(MODELS)
    assert "resident, int8 weights" in told["flux-dev"]["how"]
    assert told["flux2-klein-base-4b"]["how"].startswith("bfloat16, resident")
    assert not told["qwen-image"]["fits"] or "offload, int8" in told["qwen-image"]["how"]
