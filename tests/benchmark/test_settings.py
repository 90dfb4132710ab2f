"""Tests the choice of settings and prompts: the named sets, files, and the messages about those that do not
fit.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.tune.form import text_lines
from cache_engine.benchmark import prompts as prompts_module
from cache_engine.benchmark.figures import figures_of
from cache_engine.benchmark.job import baseline_first
from cache_engine.benchmark.prompts import prompts
from cache_engine.benchmark.settings import SETS, choose_settings, published_rows
from cache_engine.method import METHODS, method_from
from cache_engine.models.catalog import MODELS, resolve
from cache_engine.recipe import format_recipe, parse_recipe
from cache_engine.records import RunRequest
from cache_engine.runs.setting import setting_of
from cache_engine.strict import EngineError
from studies.shared import read_json_lines
from tests.benchmark.made import job


def of(name: str, model: str = "flux-dev", steps: int = 50):
    return choose_settings(name, MODELS[model], resolve(RunRequest(model=model, prompt="-", steps=steps)))


@pytest.mark.parametrize(
    ("name", "model", "steps", "size"),
    [
        ("bench-default", "flux-dev", 50, 72),
        ("bench-taylorseer", "flux-dev", 50, 72),
        ("bench-fast", "flux-dev", 50, 18),
        ("bench-distill-8", "qwen-image-lightning-8", 8, 9),
        ("bench-distill-4", "qwen-image-lightning-4", 4, 9),
    ],
)
def test_the_seeds_sweeps(name: str, model: str, steps: int, size: int) -> None:
    chosen = of(name, model, steps)
    assert (len(chosen.methods), chosen.skipped) == (size, {})
    assert len({setting_of(method).key for method in chosen.methods}) == size


def test_every_published_setting_of_the_sweeps_is_in_them() -> None:
    """The tables were made with these scripts: every printed setting is in the scripts' sets, under today's
    rule for runs.
    """
    sweep = {
        format_recipe(method)
        for name in ("bench-default", "bench-taylorseer", "bench-fast")
        for method in of(name).methods
    }
    printed = {
        format_recipe(method_from(row.method | {"streak_rule": "1.5.3"}))
        for row in published_rows()
        if row.model == "FLUX.1-dev" and row.method["name"] == "dbcache"
    }
    assert printed <= sweep


def test_the_published_settings_of_flux_under_the_rule_they_were_made_with() -> None:
    chosen = of("published")
    dbcache = [method for method in chosen.methods if method.name == "dbcache"]
    assert len(dbcache) == 78
    assert {method.model_dump()["streak_rule"] for method in dbcache} == {"before"}
    assert {"fora", "delta_dit", "teacache", "taylorseer", "foca", "fewer_steps"} <= {
        method.name for method in chosen.methods
    }
    assert set(chosen.skipped) == {
        row.config for row in published_rows() if row.method["name"] not in METHODS
    }


def test_the_published_settings_of_lightning() -> None:
    assert [format_recipe(method)[:6] for method in of("published", "qwen-image-lightning-4", 4).methods] == [
        "C0_Q0_",
        "F24B24",
        "F16B16",
        "F12B12",
        "F8B8_W",
        "F1B0_W",
    ]


def test_what_of_a_set_does_not_fit_is_named_and_left_out() -> None:
    chosen = of("bench-distill-8", "tiny", 8)
    assert [format_recipe(method)[:4] for method in chosen.methods] == ["F1B0"]
    assert all("leaves nothing to skip of 12 blocks" in reason for reason in chosen.skipped.values())


def test_what_somebody_wrote_is_not_left_out(tmp_path: Path) -> None:
    path = tmp_path / "methods.txt"
    path.write_text("# two\nF1B0_R0.2\nF40B0_R0.2\n", encoding="utf-8")
    with pytest.raises(
        EngineError,
        match=r"^methods: F40B0_R0\.2: Fn_compute_blocks \+ Bn_compute_blocks: 40 \+ 0 leaves nothing",
    ):
        of(str(path), "tiny", 28)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no setting"),
        ("no such preset", "'no such preset' in "),
        ("[1]", "'1' in "),
        ('[{"name": "nothing"}]', "method: 'nothing' is not known"),
        ('[{"name": "dbcache", "speed": 9}]', "speed: unknown field"),
        ("{", "cannot be read (JSONDecodeError)"),
    ],
)
def test_a_wrong_methods_file_is_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / ("methods.json" if text[:1] in ("[", "{") else "methods.txt")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EngineError) as error:
        of(str(path))
    assert str(error.value).startswith("methods: ")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_key_says_everything() -> None:
    """Two settings that differ only in a knob that recipes leave out have different keys."""
    today, before = METHODS["dbcache"](), METHODS["dbcache"](streak_rule="before")
    keys = {setting_of(method).key for method in (today, before)}
    assert len(keys) == 2
    assert format_recipe(today) in keys
    assert len(baseline_first([today, before, today, METHODS["baseline"]()])) == 3


def test_settings_that_differ_a_little_are_both_run() -> None:
    near = [method_from({"name": "teacache", "threshold": threshold}) for threshold in (1.0001, 1.0004)]
    assert [setting.method for setting in baseline_first(near)[1:]] == [method.to_dict() for method in near]


@pytest.mark.parametrize("set_name", SETS)
def test_folders_of_settings_are_names_everywhere_and_differ(set_name: str) -> None:
    model, steps = {
        "bench-distill-8": ("qwen-image-lightning-8", 8),
        "bench-distill-4": ("qwen-image-lightning-4", 4),
    }.get(set_name, ("flux-dev", 50))
    folders = [setting.folder for setting in baseline_first(of(set_name, model, steps).methods)]
    assert len({folder.lower() for folder in folders}) == len(folders)
    assert all(
        len(folder) <= 100
        and set(folder) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.=+-")
        for folder in folders
    )


def test_published_figures_stand_beside_their_own_setting() -> None:
    wanted = job(1, recipes=("F1B0_W8I2MC8_R0.8_T0O0", "F1B0_W1MC3_R1"))
    rows = [
        {
            "prompt": 0,
            "setting": setting.key,
            "computed": 5,
            "tflops": 1.0,
            "seconds": {"denoise": 1.0},
            "metrics": {},
        }
        for setting in wanted.settings
    ]
    collected = {line.setting.key: line.published for line in figures_of(wanted, rows)}
    assert collected["F1B0_W8I2M0MC8_R0.8_T0O0"] == {
        "clip_score": 32.4395,
        "image_reward": 0.9271,
        "latency_s": 11.40,
        "speedup_latency": 3.91,
        "tflops": 651.90,
        "speedup_tflops": 5.72,
    }
    assert collected["F1B0_W1I1M0MC3_R1_T0O0"] == {} == collected["C0_Q0_NONE"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "\ufeffa fox\n\n  an owl \n"),
        ("a.json", '["a fox", {"prompt": "an owl"}]'),
        ("a.jsonl", '{"prompt": "a fox"}\n"an owl"\n'),
    ],
)
def test_prompts_are_read(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert prompts(str(tmp_path / name)) == ("a fox", "an owl")
    assert prompts(str(tmp_path / name), 1) == ("a fox",)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "the page", "a study"])
def test_lines_end_at_line_feeds_alone(name: str, end: str, tmp_path: Path) -> None:
    """Python's splitlines also splits at U+2028, U+2029, U+0085 and others, which texts may hold."""
    wanted = tuple(f"a fox{sign}in snow" for sign in "\u2028\u2029\x85\x0b\x0c\x1c")
    quoted = name in ("a.jsonl", "a study")
    lines = [json.dumps(prompt, ensure_ascii=False) if quoted else prompt for prompt in wanted]
    path = tmp_path / name
    path.write_bytes((end.join(lines) + end).encode())
    if name == "the page":
        assert text_lines(path.read_bytes().decode()) == wanted
    else:
        assert (tuple(read_json_lines(path)) if name == "a study" else prompts(str(path))) == wanted


@pytest.mark.parametrize(
    ("name", "text"), [("a.txt", "\n"), ("a.json", '{"a": 1}'), ("a.json", "[1]"), ("a.jsonl", "a fox")]
)
def test_wrong_prompts_are_one_sentence(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(EngineError, match=r"^prompts: .*\.$"):
        prompts(str(tmp_path / name))


def test_drawbench_says_where_to_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests are offline. As soon as the file exists, it is read."""
    place = tmp_path / "drawbench.txt"
    monkeypatch.setattr(prompts_module, "PLACE", place)
    with pytest.raises(
        EngineError,
        match=r"^prompts: DrawBench cannot be downloaded from the hub .*; "
        r"put its 200 prompts, one a line, into ",
    ):
        prompts("drawbench")
    place.write_text("A red car and a white sheep.\n", encoding="utf-8")
    assert prompts("drawbench") == ("A red car and a white sheep.",)


def test_a_job_survives_its_file() -> None:
    from cache_engine.benchmark.job import job_from

    assert job_from(job(shard=(1, 2)).model_dump_json(), "job.json") == job(shard=(1, 2))
    with pytest.raises(EngineError, match="is not what a benchmark writes"):
        job_from(json.dumps({"prompts": ["a"]}), "job.json")
    assert parse_recipe("F1B0") in [
        method_from(setting.method) for setting in job(recipes=("F1B0",)).settings
    ]
