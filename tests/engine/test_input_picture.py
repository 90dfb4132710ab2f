"""Tests an input picture: editing pipelines get it, its tokens are counted as they are, and other models
refuse it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
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
    """Return a baseline run, and the arguments that the transformer got last."""
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
    result, given = drawn(kontext)
    assert given["hidden_states"].shape[1] == 16
    with torch.no_grad():
        assert result.trace[0].tflops == pytest.approx(
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
    """The picture itself has 16 tokens; the input picture is scaled to a million pixels, which adds about
    4096 tokens.
    """
    model = request.getfixturevalue(name)
    result, given = drawn(model, image={"file": str(picture)})
    assert result.image.size == (64, 64)
    assert given["hidden_states"].shape[1] > 16 + 3900
    with torch.no_grad():
        expected = count(load_model(str(model)).pipe.transformer, given)
    assert [call.tflops for call in result.trace] == pytest.approx([expected] * 2, rel=1e-6)


def test_a_model_that_needs_one_says_so(qwen_edit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EngineError, match="draws from a picture; name the picture"):
        run(asking(qwen_edit), METHODS["baseline"]())
    assert main(["models", "--model", str(qwen_edit), "--json"]) == 0
    data = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (data["image"], data["streams"], data["blocks"]) == ("needed", ["cond", "uncond"], [2])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"^file: .*fox\.png cannot be read"),
        (b"GIF89a, or so it says", r"^image: fox\.png is not a picture, or is damaged"),
    ],
)
def test_a_wrong_file_is_one_sentence(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "fox.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EngineError, match=sentence):
        Picture(file=str(path))


RAMP = np.linspace(0, 1, 32 * 32).reshape(32, 32)
EXPECTED = np.round(RAMP * 255)
DEEP = np.round(RAMP * 65535).astype(np.uint16)
TIFF_TAGS = {"width": (256, 4), "bits": (258, 3), "zero_is_black": (262, 3)}  # with the number's type


def saved(path: Path, picture: Image.Image, **options: Any) -> Path:
    picture.save(path, **options)
    return path


def graymap(path: Path, values: np.ndarray[Any, Any]) -> Path:
    path.write_bytes(b"P5 32 32 65535\n" + values.astype(">u2").tobytes())
    return path


def retagged(path: Path, picture: Image.Image, **changes: tuple[int, int]) -> Path:
    """A TIFF that Pillow reads, but does not write: its tags, as they were and as they are to be."""
    content = saved(path, picture).read_bytes()
    for name, values in changes.items():
        old, new = (struct.pack("<HHII", *TIFF_TAGS[name], 1, value) for value in values)
        assert content.count(old) == 1
        content = content.replace(old, new)
    path.write_bytes(content)
    return path


def of_12_bits(path: Path) -> Path:
    """Two numbers in three bytes: saved as if each byte was a pixel."""
    first, second = np.round(RAMP * 4095).astype(int).reshape(-1, 2).T
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=-1)
    picture = Image.fromarray(packed.astype(np.uint8).reshape(32, 48))
    return retagged(path, picture, width=(48, 32), bits=(8, 12))


@pytest.mark.parametrize(
    "written",
    [
        lambda folder: of_12_bits(folder / "of 12 bits.tif"),
        lambda folder: retagged(folder / "x.tif", Image.fromarray(65535 - DEEP), zero_is_black=(1, 0)),
        lambda folder: retagged(
            folder / "x.tif", Image.fromarray(1 - RAMP.astype(np.float32)), zero_is_black=(1, 0)
        ),
        lambda folder: saved(folder / "deep.png", Image.fromarray(DEEP)),
        lambda folder: saved(folder / "deep.tif", Image.fromarray(DEEP)),
        lambda folder: saved(folder / "big-endian.tif", Image.fromarray(DEEP.astype(">u2"))),
        lambda folder: graymap(folder / "deep.pgm", DEEP),
        lambda folder: saved(folder / "fractions.tif", Image.fromarray(RAMP.astype(np.float32))),
        lambda folder: saved(folder / "plain.png", Image.fromarray(EXPECTED.astype(np.uint8))),
    ],
)
def test_larger_and_fractional_numbers_are_scaled_by_their_range(
    written: Callable[[Path], Path], tmp_path: Path
) -> None:
    """Pillow's own conversion cuts them off at 255: white or black pictures."""
    drawn = np.asarray(Picture(file=str(written(tmp_path))).opened())
    assert drawn.shape == (32, 32, 3)
    assert np.abs(drawn - EXPECTED[..., None]).max() <= 1


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            DEEP.astype(np.int32) * 32768,
            "has 32-bit or signed integers, so its white is not known; save it as a PNG",
        ),
        ((RAMP * 255).astype(np.float32), "has fractional numbers from 0 to 255; scale them to 0 to 1"),
        (np.full((32, 32), np.nan, np.float32), "has fractional numbers from nan to nan"),
    ],
)
def test_numbers_whose_white_is_not_known_are_refused(
    values: np.ndarray[Any, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=rf"^image: x\.tif {sentence}"):
        Picture(file=str(saved(tmp_path / "x.tif", Image.fromarray(values))))


def test_signed_numbers_are_refused(tmp_path: Path) -> None:
    file = saved(tmp_path / "x.tif", Image.fromarray(DEEP // 2), tiffinfo={339: 2})
    with pytest.raises(EngineError, match="has 32-bit or signed integers"):
        Picture(file=str(file))


def palette(colours: bytes) -> Image.Image:
    picture = Image.new("P", (32, 32), 1)
    picture.putpalette(colours)
    return picture


@pytest.mark.parametrize(
    ("name", "picture", "options"),
    [
        ("x.png", Image.new("RGBA", (32, 32), (255, 0, 0, 0)), {}),
        ("x.webp", Image.new("RGBA", (32, 32), (255, 0, 0, 0)), {"lossless": True, "exact": True}),
        ("x.tif", Image.new("RGBA", (32, 32), (255, 0, 0, 0)), {}),
        ("x.png", Image.new("LA", (32, 32), (0, 0)), {}),
        ("x.png", palette(bytes([0, 0, 0, 255, 0, 0])), {"transparency": 1}),
        ("x.gif", palette(bytes([0, 0, 0, 255, 0, 0])), {"transparency": 1}),
        ("x.png", Image.new("RGB", (32, 32), "red"), {"transparency": (255, 0, 0)}),
        ("x.png", Image.fromarray(np.full((32, 32), 77, np.uint16)), {"transparency": 77}),
    ],
)
def test_transparent_pixels_are_white_whatever_colour_they_hide(
    name: str, picture: Image.Image, options: dict[str, Any], tmp_path: Path
) -> None:
    file = saved(tmp_path / name, picture, **options)
    assert Picture(file=str(file)).opened().getcolors() == [(32 * 32, (255, 255, 255))]


def test_a_turned_picture_is_upright_and_print_colours_are_screen_colours(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    turned = saved(tmp_path / "turned.jpg", Image.new("RGB", (48, 32)), exif=exif)
    assert Picture(file=str(turned)).opened().size == (32, 48)
    printed = saved(tmp_path / "print.tif", Image.new("CMYK", (32, 32), (0, 255, 255, 0)))
    assert Picture(file=str(printed)).opened().getcolors() == [(32 * 32, (255, 0, 0))]


def test_half_transparent_is_half_white(tmp_path: Path) -> None:
    file = saved(tmp_path / "x.png", Image.new("RGBA", (32, 32), (255, 0, 0, 51)))
    assert Picture(file=str(file)).opened().getcolors() == [(32 * 32, (255, 204, 204))]


def test_a_picture_out_of_bounds_and_one_that_changed(picture: Path, tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("RGB", (9000, 20)).save(path)
    with pytest.raises(
        EngineError, match=r"wide\.png has 9000 x 20 pixels; choose a picture with sides of 16 to 8192 pixels"
    ):
        Picture(file=str(path))
    Image.new("1", (8192, 4096)).save(path)  # 4 kB, and 600 MB when it is decoded with transparency
    with pytest.raises(EngineError, match="and at most 25 million pixels"):
        Picture(file=str(path))
    path.write_bytes(picture.read_bytes())
    named = Picture(file=str(path))
    Image.new("RGB", (96, 64)).save(path)
    with pytest.raises(EngineError, match="has changed since it was named"):
        named.opened()
    assert named != Picture(file=str(path))
