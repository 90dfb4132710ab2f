"""Tests that many clients at once get their own pictures, and that two runs never use the device at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cache_engine.loading import load_model
from tests.hardening.conftest import SETTING, Served, Tell, often, request, solo

pytestmark = pytest.mark.hardening

THINGS = ("fox", "owl", "panda", "rocket", "lemon", "whale", "star", "house")


class OneAtATime:
    """Counts how many calls of the transformer run at once. ``most``: the largest number so far."""

    def __init__(self) -> None:
        self.most, self.inside, self._lock = 0, set[int](), threading.Lock()

    def begin(self, *_: Any) -> None:
        with self._lock:
            self.inside.add(threading.get_ident())
            self.most = max(self.most, len(self.inside))

    def end(self, *_: Any) -> None:
        with self._lock:
            self.inside.discard(threading.get_ident())


def stored(folder: Path) -> tuple[bytes, bytes]:
    first, second = (
        Image.open(folder / f"{side}.png").convert("RGB").tobytes() for side in ("baseline", "accelerated")
    )
    return first, second


def test_every_client_gets_its_own_pictures(served: Served, tell: Tell) -> None:
    clients, jobs = often(3, 8), often(2, 5)
    # two clients share each prompt, so that one may reuse the other's baseline
    asked = {
        (client, job): request(seed=job, prompt=f"a {THINGS[client // 2]} on a red background")
        for client in range(clients)
        for job in range(jobs)
    }
    wanted = {key: solo(one) for key, one in asked.items()}
    counter, transformer = OneAtATime(), load_model("tiny").pipe.transformer
    hooks = [
        transformer.register_forward_pre_hook(counter.begin),
        transformer.register_forward_hook(counter.end, always_call=True),
    ]
    setting = SETTING.to_dict()

    def use(client: int) -> dict[tuple[int, int], str]:
        page, keys = served.client(), {}
        for job in range(jobs):
            fields = asked[client, job].model_dump(mode="json", include={"model", "prompt", "seed", "steps"})
            events = list(page.submit({"request": fields, "method": setting}, api_name="/compare"))
            assert events[-1]["event"] == "comparison", events[-1]
            keys[client, job] = events[0]["job"]
        return keys

    try:
        with ThreadPoolExecutor(clients) as pool:
            keys = {place: key for part in pool.map(use, range(clients)) for place, key in part.items()}
        served.settle()
    finally:
        for hook in hooks:
            hook.remove()
    for place, key in keys.items():
        assert stored(served.folder / "kept" / "history" / key) == wanted[place], place
    assert len(keys) == clients * jobs
    assert counter.most == 1
    tell(
        "clients at once",
        f"{clients} clients x {jobs} comparisons: {len(keys)} of {clients * jobs} equal bit for bit to "
        f"the same comparison alone; at most {counter.most} on the device at once",
    )
