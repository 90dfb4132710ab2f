"""An input picture: handed to pipelines that edit one, its tokens counted as they are, refused elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, FluxKontextPipeline, FluxPipeline, FluxTransformer2DModel
from PIL import Image

from cache_engine import METHODS, EngineError, RunRequest, run
from cache_engine.__main__ import main
from cache_engine.files import Picture
from cache_engine.flops import count
from cache_engine.loading import loaded
from cache_engine.models.patch_autoencoder import PatchAutoencoder
from cache_engine.models.tiny_flux import FOLDER

FOUR = 4


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "fox.png"
    Image.linear_gradient("L").resize((96, 64)).convert("RGB").save(path)
    return path


@pytest.fixture(scope="module")
def kontext(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model's text encoders, with a transformer of 1 + 1 blocks and an autoencoder of random weights."""
    path = tmp_path_factory.mktemp("kontext")
    embedded: Any = FluxPipeline.from_pretrained(str(FOLDER), vae=PatchAutoencoder.from_pretrained(str(FOLDER / "vae")))
    config = {name: value for name, value in embedded.transformer.config.items() if not name.startswith("_")}
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(**config | dict(in_channels=16, num_layers=1, num_single_layers=1))
    vae = AutoencoderKL(block_out_channels=(4,) * FOUR, norm_num_groups=4, latent_channels=4, shift_factor=0.0, layers_per_block=1,
                        mid_block_add_attention=False, down_block_types=("DownEncoderBlock2D",) * FOUR,
                        up_block_types=("UpDecoderBlock2D",) * FOUR)
    FluxKontextPipeline(embedded.scheduler, vae, embedded.text_encoder, embedded.tokenizer, embedded.text_encoder_2,
                        embedded.tokenizer_2, transformer).save_pretrained(path)
    return path


def request(model: Path, **more: Any) -> RunRequest:
    return RunRequest(model=str(model), prompt="a red fox", steps=2, width=64, height=64, max_sequence_length=16, **more)


def test_its_tokens_are_counted_as_the_transformer_gets_them(kontext: Path, picture: Path) -> None:
    transformer = loaded(str(kontext)).pipe.transformer
    calls: list[dict[str, Any]] = []
    hook = transformer.register_forward_pre_hook(lambda module, args, kwargs: calls.append(dict(kwargs)), with_kwargs=True)
    try:
        found = run(request(kontext, image={"file": str(picture)}), METHODS["baseline"]())
    finally:
        hook.remove()
    last = calls[-1]
    assert found.image.size == (64, 64)
    assert last["hidden_states"].shape[1] == last["img_ids"].shape[0] > 16 + 3900  # 16 of its own; the input is scaled to a million pixels
    with torch.no_grad():
        expected = count(transformer, last)
    assert [call.tflops for call in found.trace] == pytest.approx([expected] * 2, rel=1e-6)
    plain = run(request(kontext), METHODS["baseline"]())
    assert found.tflops > 50 * plain.tflops
    assert plain.image.tobytes() != found.image.tobytes()


def test_on_the_command_line_both_sides_get_it(kontext: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["compare", "--model", str(kontext), "--prompt", "a red fox", "--steps", "2", "--size", "64x64", "--text-tokens", "16",
                 "--image", str(picture), "--set", "max_warmup_steps=1", "--set", "residual_diff_threshold=1", "--no-survey", "--out",
                 str(tmp_path), "--json"])
    assert code == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["accelerated"]["schedule"] == "Cc"
    assert 1 < result["compute_ratio"] < 2
    assert (result["request"]["image"]["file"], len(result["request"]["image"]["sha256"])) == (str(picture), 64)


def test_a_model_that_takes_none_says_so(picture: Path) -> None:
    with pytest.raises(EngineError, match=r"^image: tiny FLUX \(embedded\) takes no input picture; leave it out"):
        run(RunRequest(prompt="-", image={"file": str(picture)}), METHODS["baseline"]())


def test_a_model_that_needs_one_says_so(kontext: Path, tmp_path: Path) -> None:
    """Qwen-Image-Edit is recognised from its config files; the rest of its weights is not asked for."""
    from cache_engine.model import spec_of

    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer" / "config.json").write_text(json.dumps({"num_layers": 60}), encoding="utf-8")
    (tmp_path / "model_index.json").write_text(json.dumps(
        {"_class_name": "QwenImageEditPipeline", "transformer": ["diffusers", "QwenImageTransformer2DModel"]}), encoding="utf-8")
    spec = spec_of(str(tmp_path))
    assert (spec.image, spec.true_cfg_scale) == ("needed", 4.0)
    with pytest.raises(EngineError, match="edits a picture; name one"):
        spec.resolve(request(tmp_path))


@pytest.mark.parametrize(("content", "sentence"), [
    (None, r"^file: .*fox\.png cannot be read"), (b"GIF89a, or so it says", r"^image: fox\.png is no picture, or is damaged"),
])
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
