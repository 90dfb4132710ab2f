"""Tests faults in the real page: each ends in one sentence, and the same process draws
the next comparison.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from gradio_client import Client
from gradio_client.exceptions import AppError
from torch import nn

from app.page import build_page, launch_options
from cache_engine import loading
from cache_engine.models import hub
from cache_engine.models.catalog import MODELS
from tests.engine.test_loading import FAULTS

ROW = "flux-schnell"
SETTING = {"name": "dbcache", "max_warmup_steps": 1}


def job(model: str) -> dict[str, Any]:
    return {
        "request": {"model": model, "prompt": "a small red apple", "steps": 2, "true_cfg_scale": 1},
        "method": SETTING,
    }


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
    page = build_page()
    _, address, _ = page.launch(
        prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **launch_options(page)
    )
    client = Client(address, verbose=False)
    yield client
    until = time.monotonic() + 60
    while (
        client.predict(api_name="/health")["to_record"] and time.monotonic() < until
    ):  # the process must not end while this runs
        time.sleep(0.2)
    page.close(verbose=False)
    patch.undo()
    loading.unload_model()


def said(client: Client, model: str) -> str:
    """Return the sentence with which a comparison ended."""
    with pytest.raises(AppError) as caught:
        client.predict(job(model), api_name="/compare")
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


def works(client: Client) -> bool:
    return client.predict(job("tiny"), api_name="/compare")["event"] == "comparison"


@pytest.mark.parametrize("fault", ["gated", "cut off", "unsupported"])
def test_while_loading(client: Client, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error, sentence = FAULTS[fault]

    def load(placement: Any, **parts: Any) -> Any:
        if error is not None:
            raise error
        return SimpleNamespace(transformer=nn.Linear(2, 2))

    changed = type(MODELS[ROW])(**{**vars(MODELS[ROW]), "load": load, "unavailable": lambda: None})
    monkeypatch.setitem(MODELS._filled(), ROW, changed)
    assert re.search(sentence, said(client, ROW))
    assert works(client)


def test_without_a_token(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "token", lambda: False)
    monkeypatch.delenv("FLUX_DIR", raising=False)
    assert "or point FLUX_DIR to a local folder" in said(client, "flux-dev")
    assert works(client)


def test_with_a_wrong_folder(client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLUX_DIR", str(tmp_path))
    assert "holds no model_index.json; point it to the folder of" in said(client, "flux-dev")
    assert works(client)


def test_out_of_memory_in_mid_run(client: Client) -> None:
    def full(module: Any, args: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    assert works(client)
    hook = (
        loading.load_model("tiny")
        .pipe.transformer.single_transformer_blocks[0]
        .register_forward_pre_hook(full)
    )
    try:
        assert "does not fit this device's memory" in said(client, "tiny")
    finally:
        hook.remove()
    assert works(client)


@pytest.mark.parametrize("field", ["loras", "image"])
def test_a_visitor_cannot_name_a_file_of_this_machine(client: Client, field: str) -> None:
    asked = job("tiny")
    asked["request"][field] = [{"file": __file__}] if field == "loras" else {"file": __file__}
    with pytest.raises(AppError, match=f"^{field}: files are not accepted here"):
        client.predict(asked, api_name="/compare")
