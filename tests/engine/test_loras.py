"""Tests LoRA files that diffusers wrote: they apply to both sides, are counted, and are removed however the
run ends.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import nn

from cache_engine import METHODS, Baselines, Cancelled, EngineError, RunRequest, run, run_comparison
from cache_engine.__main__ import main
from cache_engine.files import Lora
from cache_engine.loading import load_model
from cache_engine.records import Event, Progress
from tests.engine.runs import footprint
from tests.engine.tiny_models import tiny

APPLE = RunRequest(prompt="a small red apple on a blue background", seed=7, steps=2, true_cfg_scale=1)
BASELINE = METHODS["baseline"]()
SETTING = METHODS["dbcache"](max_warmup_steps=1, residual_diff_threshold=1, taylorseer_order=0)
RANK = 4
LAYERS = ("attn.to_q", "ff.net.0.proj", "proj_mlp")


def write(folder: Path, seed: int, transformer: nn.Module | None = None) -> Path:
    """Save a LoRA with random weights for the embedded model (or another), as diffusers saves it."""
    model: Any = transformer or FluxTransformer2DModel.from_config(load_model("tiny").pipe.transformer.config)
    torch.manual_seed(seed)
    model.add_adapter(
        LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights=False, target_modules=list(LAYERS))
    )
    weights: Any = get_peft_model_state_dict(model)
    FluxPipeline.save_lora_weights(folder, transformer_lora_layers=weights, weight_name=f"{seed}.safetensors")
    return folder / f"{seed}.safetensors"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("lora"), 1)


@pytest.fixture(scope="module")
def plain() -> bytes:
    return run(APPLE, BASELINE).image.tobytes()


@pytest.fixture(autouse=True)
def unchanged(plain: bytes) -> Any:
    pipe = load_model("tiny").pipe
    before = footprint(pipe), [parameter.requires_grad for parameter in pipe.transformer.parameters()]
    yield
    assert (
        footprint(pipe),
        [parameter.requires_grad for parameter in pipe.transformer.parameters()],
    ) == before
    assert run(APPLE, BASELINE).image.tobytes() == plain


def with_loras(*loras: Lora) -> RunRequest:
    return APPLE.replaced(loras=loras)


def test_both_sides_have_it_and_the_picture_is_diffusers_own(file: Path, plain: bytes) -> None:
    result = run_comparison(with_loras(Lora(file=str(file), weight=0.8)), SETTING)
    pictures = {side.image.tobytes() for side in (result.baseline, result.accelerated)}
    assert len(pictures | {plain, run(APPLE, SETTING).image.tobytes()}) == 4
    pipe = load_model("tiny").pipe
    pipe.load_lora_weights(str(file), adapter_name="by hand")
    pipe.set_adapters(["by hand"], [0.8])
    try:
        by_hand = run(APPLE, BASELINE).image
    finally:
        pipe.unload_lora_weights()
        del pipe.transformer._hf_peft_config_loaded
        pipe.transformer.requires_grad_(True)
    assert result.baseline.image.tobytes() == by_hand.tobytes()


def test_weights_of_0_and_minus_1(file: Path, plain: bytes) -> None:
    pictures = [
        run(with_loras(Lora(file=str(file), weight=weight)), BASELINE).image.tobytes()
        for weight in (0, -1, 1)
    ]
    assert pictures[0] == plain
    assert len(set(pictures)) == 3


def test_two_at_once(file: Path, tmp_path: Path) -> None:
    first, two = Lora(file=str(file)), Lora(file=str(write(tmp_path, 2)), weight=0.5)
    collected = [
        run(with_loras(*loras), BASELINE).image.tobytes() for loras in ((first,), (two,), (first, two))
    ]
    assert len(set(collected)) == 3


def test_another_weight_or_another_content_is_another_baseline(file: Path, tmp_path: Path) -> None:
    baselines, copy = Baselines(), tmp_path / "copy.safetensors"
    copy.write_bytes(file.read_bytes())

    def reused(weight: float) -> bool:
        return run_comparison(
            with_loras(Lora(file=str(copy), weight=weight)), SETTING, baselines=baselines
        ).baseline_reused

    assert [reused(1), reused(1), reused(0.5)] == [False, True, False]
    copy.write_bytes(write(tmp_path, 3).read_bytes())
    assert not reused(1)


def test_what_it_adds_is_counted(file: Path) -> None:
    """A LoRA adds 2 FLOPs for each multiply-add, down to RANK and up again, for every token of its layer."""
    with_it, without = run(with_loras(Lora(file=str(file))), BASELINE, survey=True), run(APPLE, BASELINE)
    transformer = load_model("tiny").pipe.transformer
    image, text = (without.effective.width or 0) ** 2 // 256, without.effective.max_sequence_length or 0
    added = sum(
        2
        * RANK
        * (layer.in_features + layer.out_features)
        * (image if name.startswith("transformer_blocks") else image + text)
        for name, layer in transformer.named_modules()
        if name.endswith(LAYERS)
    )
    calls = len(without.trace)
    assert with_it.tflops - without.tflops == pytest.approx(added * calls / 1e12, rel=1e-3)
    assert with_it.survey.call_tflops == pytest.approx(with_it.trace[0].tflops)


def test_a_stop_and_an_error_take_it_off_again(file: Path) -> None:
    request, stop = with_loras(Lora(file=str(file))), threading.Event()

    def at_step_1(act: Callable[[], object]) -> Callable[[Event], None]:
        return lambda event: (
            act() and None if isinstance(event, Progress) and event.call and event.call.step == 1 else None
        )

    with pytest.raises(Cancelled):
        run(request, SETTING, stop=stop, emit=at_step_1(stop.set))

    def burn() -> None:
        raise RuntimeError("the kernel burns")

    with pytest.raises(RuntimeError, match="burns"):
        run(request, SETTING, emit=at_step_1(burn))


def damaged(folder: Path, file: Path) -> Path:
    path = folder / "damaged.safetensors"
    path.write_bytes(file.read_bytes()[:200])
    return path


def no_lora(folder: Path, file: Path) -> Path:
    load_model("tiny").pipe.transformer.save_pretrained(folder)
    return next(folder.glob("*.safetensors"))


def of_another_model(folder: Path, file: Path) -> Path:
    return write(
        folder,
        4,
        FluxTransformer2DModel(
            **dict(load_model("tiny").pipe.transformer.config) | {"num_single_layers": 20}
        ),
    )


def of_another_width(folder: Path, file: Path) -> Path:
    return write(folder, 5, tiny("FluxTransformer2DModel"))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (damaged, r"^loras: damaged\.safetensors is not a LoRA, or is damaged"),
        (no_lora, r"was made for another model: none of its 0 layers"),
        (
            of_another_model,
            r"^loras: 4\.safetensors was made for another model: \d+ of its \d+ layers are not in tiny FLUX",
        ),
        (of_another_width, r"^loras: 5\.safetensors does not fit tiny FLUX"),
    ],
)
def test_a_file_that_does_not_fit_is_one_sentence(
    make: Callable[[Path, Path], Path], sentence: str, file: Path, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=sentence) as caught:
        run(with_loras(Lora(file=str(make(tmp_path, file)))), SETTING)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_file_that_changes_between_request_and_run(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(file.read_bytes())
    request = with_loras(Lora(file=str(copy)))
    copy.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(EngineError, match="has changed since it was named"):
        run(request, SETTING)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"file": "missing.safetensors"}, r"^file: missing\.safetensors cannot be read"),
        ({"file": "model.ckpt"}, r"not a \.safetensors file"),
        ({"weight": 9}, "weight: 9 is not valid; choose a number from -4 to 4"),
        ({"weight": True}, "weight: True"),
        ({"colour": "red"}, "colour: unknown field"),
        ({"file": 3}, "file: 3"),
    ],
)
def test_a_wrong_field_is_one_sentence(fields: dict[str, Any], sentence: str, file: Path) -> None:
    with pytest.raises(EngineError, match=sentence):
        RunRequest(prompt="-", loras=[{"file": str(file)} | fields])


def test_too_many(file: Path) -> None:
    with pytest.raises(EngineError, match="give a list of at most 8"):
        with_loras(*[Lora(file=str(file))] * 9)


def test_on_the_command_line(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def compare(lora: str) -> int:
        return main(
            [
                "compare",
                "--prompt",
                APPLE.prompt,
                "--steps",
                "2",
                "--true-cfg-scale",
                "1",
                "--set",
                "max_warmup_steps=1",
                "--lora",
                lora,
                "--out",
                str(tmp_path),
                "--no-survey",
                "--json",
            ]
        )

    assert compare(f"{file}:0.5") == 0
    loras = json.loads(capsys.readouterr().out.splitlines()[-1])["request"]["loras"]
    assert [(lora["file"], lora["weight"], len(lora["sha256"])) for lora in loras] == [(str(file), 0.5, 64)]
    assert compare(f"{file}:strong") == 2
    assert capsys.readouterr().err.strip() == "weight: 'strong' is not valid; choose a number from -4 to 4."
