"""A prompt that is longer than the model's tokens: how many words are not read is said before the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.compare.wiring import unknown_words
from cache_engine import METHODS, MODELS, RunRequest, resolve, run
from cache_engine.__main__ import main
from cache_engine.models.prompt_length import unread_words
from cache_engine.models.tiny_flux import FOLDER

# Each word is one token.
LONG = "a small red apple on a blue background with a small green tree on a white background with a cat"
UNREAD = 5  # behind 15 tokens of T5 and an end; CLIP's 14 are fewer


def asking(prompt: str, **more: int) -> RunRequest:
    return resolve(RunRequest(prompt=prompt, seed=7, steps=1, true_cfg_scale=1, **more))


def drawn(prompt: str) -> bytes:
    return run(asking(prompt), METHODS["baseline"]()).image.tobytes()


def test_the_words_that_are_said_to_be_unread_change_nothing_and_the_one_before_does() -> None:
    tiny, words = MODELS["tiny"], LONG.split()
    assert tiny.unread_words(asking(LONG)) == UNREAD
    picture = drawn(LONG)
    assert drawn(" ".join([*words[:-UNREAD], *["red"] * UNREAD])) == picture
    assert drawn(" ".join([*words[: -UNREAD - 1], "red", *words[-UNREAD:]])) != picture
    assert tiny.unread_words(asking(" ".join(words[:-UNREAD]))) == 0


@pytest.mark.parametrize(
    ("template", "takes_length", "expected"), [(0, True, UNREAD), (3, True, UNREAD + 3), (0, False, UNREAD)]
)
def test_a_template_takes_tokens_and_a_tokenizer_has_its_own_bound(
    template: int, takes_length: bool, expected: int
) -> None:
    assert unread_words(str(FOLDER), asking(LONG), template, takes_length=takes_length) == expected


def test_fewer_tokens_are_asked_for() -> None:
    assert MODELS["tiny"].unread_words(asking(LONG, max_sequence_length=8)) == len(LONG.split()) - 7


def test_a_model_that_is_not_on_this_machine_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLUX_DIR", raising=False)
    assert MODELS["flux-dev"].unread_words(resolve(RunRequest(model="flux-dev", prompt=LONG))) == 0


def test_the_page_and_the_command_line_say_it_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "prompt: its last 5 words are not read, because tiny FLUX (embedded) takes 16 tokens of text; "
    assert told in json.dumps(unknown_words("tiny", LONG))
    for prompt in ("a red apple", "", "x" * 3000):
        assert "not read" not in json.dumps(unknown_words("tiny", prompt))
    arguments = [
        "compare",
        "--prompt",
        LONG,
        "--steps=2",
        "--set=max_warmup_steps=1",
        "--no-survey",
        "--json",
    ]
    assert main([*arguments, f"--out={tmp_path}"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first == json.loads(last)["prompt_note"]
    assert first.startswith(told)


@pytest.mark.parametrize(
    "arguments",
    [
        ["calibrate", "--runs=1", "--out=x.json"],
        ["benchmark", "--methods=methods.txt", "--out=out"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_over_several_prompts_count_them(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("methods.txt").write_text("C0_Q0_NONE\n", encoding="utf-8")
    Path("prompts.txt").write_text(f"a red apple\n{LONG}\n", encoding="utf-8")
    assert main([*arguments, "--prompts=prompts.txt", "--steps=8", "--true-cfg-scale=1"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("1 of 2 prompts; the first: prompt: its last 5 words are not read")
