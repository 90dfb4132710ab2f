"""Pipelines are judged by the signature of their call, before weights are loaded; those that fit are run."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKL,
    CogView4ControlPipeline,
    CogView4Transformer2DModel,
    FlowMatchEulerDiscreteScheduler,
    FluxControlPipeline,
    FluxTransformer2DModel,
    SanaSprintPipeline,
    SanaTransformer2DModel,
    SCMScheduler,
)
from PIL import Image

from cache_engine import METHODS, EngineError, RunRequest, RunResult, run
from cache_engine.__main__ import main
from cache_engine.loading import load_model
from cache_engine.models.catalog import spec_of
from cache_engine.models.generic import TRANSFORMERS
from tests.engine.test_any_folder import embedded_and_vae
from tests.engine.tiny_models import CONFIGS

REFUSED = {
    "needs a mask": "ChromaInpaint Flux2KleinInpaint FluxControlInpaint FluxControlNetInpaint FluxFill "
    "FluxInpaint FluxKontextInpaint QwenImageControlNetInpaint QwenImageEditInpaint QwenImageInpaint "
    "StableDiffusion3ControlNetInpainting StableDiffusion3Inpaint ZImageControlNetInpaint ZImageInpaint",
    "runs a ControlNet": "FluxControlNet FluxControlNetImg2Img QwenImageControlNet SanaControlNet "
    "StableDiffusion3ControlNet ZImageControlNet",
    "skips the first steps": "ChromaImg2Img FluxControlImg2Img FluxImg2Img QwenImageImg2Img "
    "SanaSprintImg2Img StableDiffusion3Img2Img StableDiffusion3PAGImg2Img ZImageImg2Img",
    "takes no width, height": "LongCatImageEdit QwenImageLayered",
    "takes no prompt, width, height": "VisualCloze VisualClozeGeneration",
}
NEEDED = "BriaFiboEdit CogView4Control FluxControl HunyuanImageRefiner QwenImageEdit QwenImageEditPlus"


def pipelines() -> dict[str, str]:
    """Every pipeline that draws pictures with a transformer of the table, and that transformer."""
    collected: dict[str, str] = {}
    for name in dir(diffusers):
        kind = getattr(diffusers, name)
        if name.endswith("Pipeline") and inspect.isclass(kind) and kind is not diffusers.DiffusionPipeline:
            part = inspect.signature(kind.__init__).parameters.get("transformer")
            classes = [
                description for description in TRANSFORMERS if part and description in str(part.annotation)
            ]
            if classes and not TRANSFORMERS[classes[0]].video:
                collected[name.removesuffix("Pipeline")] = classes[0]
    return collected


def test_every_pipeline_of_diffusers_is_taken_or_refused_by_what_its_call_needs(tmp_path: Path) -> None:
    reasons = {name: reason for reason, names in REFUSED.items() for name in names.split()}
    for name, transformer in pipelines().items():
        folder = tmp_path / name / "transformer"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(CONFIGS[transformer]), encoding="utf-8")
        index = {"_class_name": f"{name}Pipeline", "transformer": ["diffusers", transformer]}
        (folder.parent / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
        if reason := reasons.pop(name, None):
            with pytest.raises(EngineError, match=f"is a {name}Pipeline, .*{reason}.*; choose the pipeline"):
                spec_of(str(folder.parent))
        else:
            assert (spec_of(str(folder.parent)).image == "needed") == (name in NEEDED.split()), name
    assert not reasons


# ---- run ----
def flux_control(folder: Path) -> None:
    """FLUX.1 Canny and Depth: the picture's channels beside those of the noise."""
    embedded, vae = embedded_and_vae()
    config = {name: value for name, value in embedded.transformer.config.items() if not name.startswith("_")}
    transformer = FluxTransformer2DModel(
        **config | dict(in_channels=32, out_channels=16, num_layers=2, num_single_layers=2)
    )
    FluxControlPipeline(
        embedded.scheduler,
        vae,
        embedded.text_encoder,
        embedded.tokenizer,
        embedded.text_encoder_2,
        embedded.tokenizer_2,
        transformer,
    ).save_pretrained(folder)


def cogview_control(folder: Path) -> None:
    """Its input picture is encoded with torch's own random numbers."""
    embedded, vae = embedded_and_vae()
    width = embedded.text_encoder_2.config.d_model
    config = CONFIGS["CogView4Transformer2DModel"] | dict(in_channels=8, out_channels=4, text_embed_dim=width)
    CogView4ControlPipeline(
        embedded.tokenizer_2,
        embedded.text_encoder_2,
        vae,
        CogView4Transformer2DModel(**config),
        FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    ).save_pretrained(folder)


def sana_sprint(folder: Path) -> None:
    """Its call takes an intermediate time in runs of two steps alone."""
    embedded, _ = embedded_and_vae()
    config = CONFIGS["SanaTransformer2DModel"] | dict(
        caption_channels=embedded.text_encoder_2.config.d_model,
        guidance_embeds=True,
        sample_size=32,
        qk_norm="rms_norm_across_heads",
    )
    vae = AutoencoderDC(
        latent_channels=config["in_channels"],
        attention_head_dim=2,
        encoder_block_types=("ResBlock",) * 6,
        decoder_block_types=("ResBlock",) * 6,
        encoder_block_out_channels=(4,) * 6,
        decoder_block_out_channels=(4,) * 6,
        encoder_qkv_multiscales=((),) * 6,
        decoder_qkv_multiscales=((),) * 6,
        encoder_layers_per_block=(1,) * 6,
        decoder_layers_per_block=(1,) * 6,
    )
    SanaSprintPipeline(
        embedded.tokenizer_2,
        embedded.text_encoder_2,
        vae,
        SanaTransformer2DModel(**config),
        SCMScheduler(prediction_type="trigflow", sigma_data=0.5),
    ).save_pretrained(folder)


def asking(model: Path, steps: int = 3, **more: Any) -> RunRequest:
    return RunRequest(
        model=str(model),
        prompt="a fox",
        steps=steps,
        width=64,
        height=64,
        max_sequence_length=16,
        **more,
    )


def drawn(model: Path, method: str = "baseline", **more: Any) -> RunResult:
    knobs = dict(max_warmup_steps=1, residual_diff_threshold=1) if method == "dbcache" else {}
    return run(asking(model, **more), METHODS[method](**knobs))


@pytest.mark.parametrize("make", [flux_control, cogview_control])
def test_a_control_pipeline_draws_along_its_picture(make: Callable[[Path], None], tmp_path: Path) -> None:
    model = tmp_path / "model"
    make(model)
    with pytest.raises(
        EngineError, match=r"^image: model draws from a picture; name the picture \(--image FILE\)\.$"
    ):
        drawn(model)
    pictures = []
    for name, angle in (("one.png", 0), ("two.png", 90)):
        Image.linear_gradient("L").resize((64, 64)).rotate(angle).save(tmp_path / name)
        pictures.append({"file": str(tmp_path / name)})
    first, again, other = (
        drawn(model, image=picture).image.tobytes() for picture in (*pictures[:1] * 2, pictures[1])
    )
    assert first == again != other
    cached = drawn(model, "dbcache", image=pictures[0])
    assert cached.schedule == "Ccc"
    assert cached.image.tobytes() != first


@pytest.mark.parametrize("method", ["", pytest.param("dbcache", marks=pytest.mark.long)])
def test_sana_sprint_runs_in_any_number_of_steps(method: str, tmp_path: Path) -> None:
    """Its pictures are large: the run itself is the long row."""
    sana_sprint(tmp_path)
    spec = spec_of(str(tmp_path))
    calls = [spec.call(spec.resolve(asking(tmp_path, steps))) for steps in (1, 2, 4)]
    assert [call.get("intermediate_timesteps", "its own") for call in calls] == [None, "its own", None]
    if method:
        assert drawn(tmp_path, method).schedule == "Ccc"


def test_a_folder_of_one_variant_is_loaded(tmp_path: Path) -> None:
    """As many publish them: weights in 16 bits alone, in files named so."""
    embedded, _ = embedded_and_vae()
    embedded.vae = AutoencoderKL(
        block_out_channels=(4,) * 4,
        norm_num_groups=4,
        latent_channels=4,
        shift_factor=0.0,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )
    embedded.to(torch.float16).save_pretrained(tmp_path, variant="fp16")
    pipe = load_model(str(tmp_path)).pipe
    own = pipe.transformer.state_dict()
    assert all(
        torch.equal(own[name], value.float()) for name, value in embedded.transformer.state_dict().items()
    )


# ---- folders and names that are wrong ----
INDEX = {"_class_name": "FluxPipeline", "transformer": ["diffusers", "FluxTransformer2DModel"]}


def index_of(**changed: Any) -> bytes:
    return json.dumps(INDEX | changed).encode()


WRONG: dict[str, tuple[dict[str, bytes], str]] = {
    "no UTF-8": (
        {"model_index.json": b'{"_class_name": "Fl\xfcx"}'},
        r"model_index\.json of .* is damaged \(Unicode",
    ),
    "a list": ({"model_index.json": b"[]"}, r"model_index\.json of .* is no JSON object; restore it"),
    "a text": ({"model_index.json": b'"x"'}, "is no JSON object; restore it"),
    "deep": ({"model_index.json": b"[" * 100_000}, r"is damaged \(RecursionError\)"),
    "no pair": ({"model_index.json": index_of(transformer="Flux")}, "without a transformer"),
    "no class": ({"model_index.json": index_of(_class_name=["a", "b"])}, "is not a pipeline of diffusers"),
    "no pipeline": (
        {"model_index.json": index_of(_class_name="FluxTransformer2DModel")},
        "FluxTransformer2DModel is not a pipeline of diffusers",
    ),
    "no config": ({"model_index.json": index_of()}, r"holds no transformer/config\.json"),
    "no object": (
        {"model_index.json": index_of(), "transformer/config.json": b"3"},
        r"transformer/config\.json of .* is no JSON object",
    ),
    "no number": (
        {"model_index.json": index_of(), "transformer/config.json": b'{"num_layers": "two"}'},
        r"has num_layers = 'two', which is no number of blocks; restore it",
    ),
    "in 4 bits": (
        {
            "model_index.json": index_of(),
            "transformer/config.json": b'{"quantization_config": {"quant_method": "bitsandbytes_4bit"}}',
        },
        "the transformer of .* was saved in fewer bits with bitsandbytes, which is not installed; install it",
    ),
    "text in 8 bits": (
        {
            "model_index.json": index_of(text_encoder_2=["transformers", "T5EncoderModel"]),
            "transformer/config.json": b"{}",
            "text_encoder_2/config.json": b'{"quantization_config": {"quant_method": "bitsandbytes"}}',
        },
        "the text_encoder_2 of .* was saved in fewer bits with bitsandbytes",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_folder_is_one_sentence(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, sentence = WRONG[fault]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with pytest.raises(EngineError, match=sentence) as caught:
        spec_of(str(tmp_path))
    assert main(["flops", "--model", str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines() == [str(caught.value)]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("owner/name@v1.0", "nor a hub id like owner/name; download a version with `hf download --revision`"),
        ("my models/flux", r"nor a hub id like owner/name\."),
        ("owner/na..me", "cannot be a name on the hub"),
        ("a/b\nc", r"model: a/b\\nc is neither"),
        ("x" * 300, "is not known; choose one of"),
        ("y" * 300 + "/z", "nor a hub id like owner/name|could not be done|cannot be read"),
    ],
)
def test_a_wrong_name_is_one_sentence(name: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("flops", "models"):
        assert main([command, "--model", name]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert re.search(sentence, line)
