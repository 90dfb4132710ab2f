"""An input picture: handed to pipelines that edit one, its tokens counted as they are, refused elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cache_engine import METHODS, EngineError, RunRequest, RunResult, resolve, run
from cache_engine.__main__ import main
from cache_engine.files import Picture
from cache_engine.flops import count
from cache_engine.loading import load_model
from tests.engine import editing


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "fox.png"
    Image.linear_gradient("L").resize((96, 64)).convert("RGB").save(path)
    return path


@pytest.fixture(scope="module")
def kontext(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return editing.kontext(tmp_path_factory.mktemp("kontext"))


@pytest.fixture(scope="module")
def qwen_edit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return editing.qwen_edit(tmp_path_factory.mktemp("qwen_edit"))


def asking(model: Path, **more: Any) -> RunRequest:
    fields: dict[str, Any] = {
        "steps": 2,
        "width": 64,
        "height": 64,
        "max_sequence_length": 16,
        "true_cfg_scale": 1,
    }
    return RunRequest(model=str(model), prompt="a red fox", **fields | more)


def drawn(model: Path, **more: Any) -> tuple[RunResult, dict[str, Any]]:
    """A baseline run, and what the transformer was last given."""
    transformer = load_model(str(model)).pipe.transformer
    calls: list[dict[str, Any]] = []
    hook = transformer.register_forward_pre_hook(
        lambda module, args, kwargs: calls.append(dict(kwargs)), with_kwargs=True
    )
    try:
        return run(asking(model, **more), METHODS["baseline"]()), calls[-1]
    finally:
        hook.remove()


def test_without_a_picture_it_costs_what_it_costs(kontext: Path) -> None:
    found, given = drawn(kontext)
    assert given["hidden_states"].shape[1] == 16
    with torch.no_grad():
        assert found.trace[0].tflops == pytest.approx(
            count(load_model(str(kontext)).pipe.transformer, given), rel=1e-6
        )


def test_on_the_command_line_both_sides_get_it(
    kontext: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(
        [
            "compare",
            "--model",
            str(kontext),
            "--prompt",
            "a red fox",
            "--steps",
            "2",
            "--size",
            "64x64",
            "--text-tokens",
            "16",
            "--image",
            str(picture),
            "--true-cfg-scale",
            "1",
            "--set",
            "max_warmup_steps=1",
            "--set",
            "residual_diff_threshold=1",
            "--no-survey",
            "--out",
            str(tmp_path),
            "--json",
        ]
    )
    assert code == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["accelerated"]["schedule"] == "Cc"
    assert 1 < result["compute_ratio"] < 2
    assert (result["request"]["image"]["file"], len(result["request"]["image"]["sha256"])) == (
        str(picture),
        64,
    )


def test_a_model_that_takes_none_says_so(picture: Path) -> None:
    with pytest.raises(
        EngineError, match=r"^image: tiny FLUX \(embedded\) takes no input picture; leave it out"
    ):
        resolve(RunRequest(prompt="-", image={"file": str(picture)}))


@pytest.mark.parametrize("name", ["kontext", "qwen_edit"])
def test_its_tokens_are_counted_as_the_transformer_gets_them(
    name: str, picture: Path, request: pytest.FixtureRequest
) -> None:
    """16 tokens are the picture's own; the input is scaled to a million pixels, which is about 4096 more."""
    model = request.getfixturevalue(name)
    found, given = drawn(model, image={"file": str(picture)})
    assert found.image.size == (64, 64)
    assert given["hidden_states"].shape[1] > 16 + 3900
    with torch.no_grad():
        expected = count(load_model(str(model)).pipe.transformer, given)
    assert [call.tflops for call in found.trace] == pytest.approx([expected] * 2, rel=1e-6)


def test_a_model_that_needs_one_says_so(qwen_edit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EngineError, match="edits a picture; name one"):
        run(asking(qwen_edit), METHODS["baseline"]())
    assert main(["models", "--model", str(qwen_edit), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["image"], found["streams"], found["blocks"]) == ("needed", ["cond", "uncond"], [2])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"^file: .*fox\.png cannot be read"),
        (b"GIF89a, or so it says", r"^image: fox\.png is no picture, or is damaged"),
    ],
)
def test_a_wrong_file_is_one_sentence(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "fox.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EngineError, match=sentence):
        Picture(file=str(path))


def test_a_picture_out_of_bounds_and_one_that_changed(picture: Path, tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("RGB", (9000, 20)).save(path)
    with pytest.raises(EngineError, match=r"wide\.png has 9000 x 20 pixels; choose one of 16 to 8192 a side"):
        Picture(file=str(path))
    path.write_bytes(picture.read_bytes())
    named = Picture(file=str(path))
    Image.new("RGB", (96, 64)).save(path)
    with pytest.raises(EngineError, match="has changed since it was named"):
        named.opened()
    assert named != Picture(file=str(path))
