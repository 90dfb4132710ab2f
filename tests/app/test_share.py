"""Tests the settings that a comparison carries: they come back unchanged, contain only their fields, and any
other input is refused in one sentence.
"""

from __future__ import annotations

import base64
import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from app import share
from cache_engine import METHODS, MODELS, Comparison, EngineError, method_from, resolve
from tests.app.made import dbcache, pair

PROMPTS = ("a small red apple", 'リンゴ 🍎 & <b>"x"</b> ?c=1#%', "é" * 2000)
METHOD_SET = (
    dbcache(residual_diff_threshold=0.137),
    METHODS["fewer_steps"](fraction=0.5),
    METHODS["taylorseer"](interval=4),
    dbcache(steps_computation_mask="1" * 14 + "0" * 14, steps_computation_policy="static"),
)


def comparison(prompt: str = PROMPTS[0], method: Any = METHOD_SET[0], **fields: Any) -> Comparison:
    result = pair(dbcache())
    request = resolve(result.baseline.request.replaced(prompt=prompt, seed=2**32 - 1, **fields))
    return result._replace(
        baseline=result.baseline._replace(request=request, effective=request),
        accelerated=result.accelerated._replace(request=request, effective=request, method=method.to_dict()),
    )


@pytest.fixture
def lora(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "mine.safetensors").write_bytes(b"1")
    return {"file": str(tmp_path / "mine.safetensors"), "weight": 0.5}


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("method", METHOD_SET, ids=lambda method: method.name)
def test_there_and_back(prompt: str, method: Any, tmp_path: Path) -> None:
    result = comparison(prompt, method)
    link = share.query_of(result)
    assert link.isascii()
    assert not set(link[3:]) & set(" &#%+/=")
    for back in (
        share.from_query(link.removeprefix("?c=")),
        *(share.from_file(file) for file in unpacked(result, tmp_path)),
    ):
        assert back.request == result.baseline.request
        assert back.method == method_from(result.accelerated.method)
        assert back.left == ()


def unpacked(result: Comparison, folder: Path, **more: bool) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(share.archive(result, **more))) as files:
        files.extractall(folder)
        assert sorted(files.namelist()) == [
            "accelerated.png",
            "baseline.png",
            "difference.png",
            "result.json",
        ]
    return [
        str(folder / name) for name in ("accelerated.png", "baseline.png", "difference.png", "result.json")
    ]


def test_files_stay_behind_and_are_named(lora: dict[str, Any], tmp_path: Path) -> None:
    result = comparison(loras=[lora])
    for back in (
        share.from_query(share.query_of(result)[3:]),
        *(share.from_file(file) for file in unpacked(result, tmp_path)),
    ):
        assert back.request.loras == ()
        assert back.left == ("LoRA",)


def test_no_path_of_this_machine_goes_along(lora: dict[str, Any], tmp_path: Path) -> None:
    result = comparison(loras=[lora])
    assert lora["file"] not in share.text_of(result)
    assert lora["file"].encode() not in share.archive(result)
    assert Path(lora["file"]).name.encode() in share.archive(result)
    assert result.baseline.request.loras[0].file == lora["file"]  # the record itself is unchanged


def test_pictures_without_the_setting_inside(tmp_path: Path) -> None:
    for file in unpacked(comparison(), tmp_path, inside=False)[:3]:
        assert Image.open(file).info == {}
        with pytest.raises(EngineError, match="it holds no setting of a comparison"):
            share.from_file(file)


def test_pixels_are_those_of_the_run(tmp_path: Path) -> None:
    result = comparison()
    before = Image.effect_noise((64, 64), 40).convert("RGB")
    unpacked(result._replace(baseline=result.baseline._replace(image=before)), tmp_path)
    assert Image.open(tmp_path / "baseline.png").tobytes() == before.tobytes()


def packed(data: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode()


GOOD: dict[str, Any] = {"request": {"prompt": "x"}, "method": {"name": "dbcache"}}


def test_a_size_that_the_model_does_not_draw_stays_behind_and_is_named() -> None:
    text = json.loads(share.text_of(comparison()))
    text["request"] |= {"width": 96, "height": 96}
    back = share.from_text(json.dumps(text), "link")
    assert (back.request.width, back.request.height) == MODELS["tiny"].sizes[0]
    assert share.sentence(back.left) == " Not included: size 96 × 96."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no setting"),
        ("%%%", "no setting|not whole"),
        ("e30", "no setting"),
        (packed([]), "no setting"),
        (packed("x" * 50_000), "no setting"),
        ("[" * 30_000, "no setting|not whole"),
        (packed(GOOD | {"method": {}}), "method"),
        *(
            (packed(GOOD | {"request": {"prompt": "x"} | {name: value}}), name)
            for name, value in (("prompt", ""), ("model", "elsewhere/secret"), ("seed", -1), ("steps", True))
        ),
        (packed(GOOD | {"request": {"prompt": "x", "true_cfg_scale": float("nan")}}), "true_cfg_scale"),
        (
            packed(GOOD | {"method": {"name": "dbcache", "residual_diff_threshold": 7}}),
            "residual_diff_threshold",
        ),
        (packed(GOOD | {"method": {"name": "dbcache", "strange": 1}}), "strange"),
    ],
)
def test_a_link_that_cannot_be_read_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(EngineError, match=sentence) as raised:
        share.from_query(text)
    assert str(raised.value).endswith(".")
    assert len(str(raised.value)) < 500


def test_what_is_said_beside_is_passed_over() -> None:
    more = {
        "request": {"prompt": "x", "loras": [{"file": "elsewhere/secret"}], "of_tomorrow": 1},
        "method": GOOD["method"],
        "engine": {},
    }
    assert share.from_query(packed(more)).left == ("LoRA",)


def png(**chunks: str) -> bytes:
    note, file = PngInfo(), io.BytesIO()
    for name, text in chunks.items():
        note.add_itxt(name, text, zip=True)
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=note)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", b""),
        ("a.png", b"GIF89a"),
        ("a.png", png()),
        ("a.png", png()[:40]),
        ("a.png", png(cachelens="{}")),
        ("a.png", png(cachelens="[" * 40_000)),
        ("a.png", png(cachelens="x" * 5_000_000)),
        ("a.json", b"\xff\xfe"),
        ("a.json", b"null"),
        ("a.json", b"[" * 200_000),
        ("a.txt", b"hello"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_sentence(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(EngineError, match=r"^file: ") as raised:
        share.from_file(str(tmp_path / name))
    assert str(tmp_path) not in str(raised.value)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("frames", [b"", chunk(b"acTL", struct.pack(">II", 200_000, 0))])
def test_the_setting_is_read_without_decoding_a_pixel(frames: bytes, tmp_path: Path) -> None:
    """The file names 81 million pixels, or 200,000 frames, and holds none: to decode it would be an error."""
    text = b"cachelens\0\0\0\0\0" + json.dumps(GOOD).encode()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 8, 6, 0, 0, 0))
    file = tmp_path / "a.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + head + frames + chunk(b"iTXt", text) + chunk(b"IDAT", b"none"))
    assert share.from_file(str(file)).request.prompt == "x"


@pytest.mark.parametrize("size", [share.MOST_BYTES, 48_000_000])
def test_a_large_result_file_is_refused_before_it_is_read(size: int, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(json.dumps(GOOD).encode() + b" " * size)
    with pytest.raises(EngineError, match=r"^file: it is larger than 2 MB; "):
        share.from_file(str(tmp_path / "a.json"))
