"""Tests Ray: two actors on this machine make the same rows as one process, also if an actor is killed; merged
shards make the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from cache_engine.__main__ import main
from cache_engine.benchmark.cluster import Cluster
from cache_engine.benchmark.drive import drive
from cache_engine.benchmark.folder import BenchmarkFolder, read_folder
from cache_engine.runs.row import Row
from tests.benchmark.made import pictures, run, untimed


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Yield a cluster of two cores, whatever this machine has."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("cluster")
def test_two_actors_one_of_which_is_killed_make_what_one_process_makes(plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with BenchmarkFolder(out, read_folder(plain)[0]) as folder:
        crew = Cluster(folder.job, "local", 2, 1)
        victims, add = [crew.actors[0]], folder.add

        def add_and_kill(row: Row, png: bytes) -> None:
            add(row, png)
            if len(folder.rows) == 3:
                ray.kill(victims.pop())

        folder.add = add_and_kill
        outcome = drive(folder, crew)
    assert not victims
    assert outcome.made == len(read_folder(plain)[2])
    assert untimed(out) == untimed(plain)
    assert pictures(out) == pictures(plain)


@pytest.mark.usefixtures("cluster")
def test_more_workers_than_there_are_is_one_sentence(plain: Path) -> None:
    with pytest.raises(
        Exception, match=r"^workers: 9 is more than the cluster's 2 cores; choose fewer, or add machines\.$"
    ):
        Cluster(read_folder(plain)[0], "local", 9, 1)


def test_two_shards_merged_are_the_whole(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = [tmp_path / "first", tmp_path / "second"]
    for place, shard in enumerate(shards, 1):
        assert run(tmp_path, shard, "--shard", f"{place}/2") == 0
    assert [len(read_folder(shard)[2]) for shard in shards] == [8, 4]
    out = tmp_path / "out"
    assert main(["benchmark", "merge", *map(str, shards), "--out", str(out)]) == 0
    assert "12 rows, complete" in capsys.readouterr().out
    assert read_folder(out)[:2] == read_folder(plain)[:2]
    assert untimed(out) == untimed(plain)
    assert pictures(out) == pictures(plain)
    assert run(tmp_path, out) == 0  # the merged folder can be continued
    assert main(["benchmark", "merge", *map(str, (shards[0], shards[0])), "--out", str(tmp_path / "no")]) == 2
    assert "is in two of the folders; name each shard once." in capsys.readouterr().err
    assert main(["benchmark", "merge", str(shards[1]), "--out", str(tmp_path / "part")]) == 0
    assert "4 rows, 8 rows of the job are missing" in capsys.readouterr().out


def test_shards_of_other_jobs_are_not_merged(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    with BenchmarkFolder(
        other,
        read_folder(plain)[0].replaced(
            request=read_folder(plain)[0].request, settings=read_folder(plain)[0].settings, metrics=("psnr",)
        ),
    ):
        pass
    assert main(["benchmark", "merge", str(plain), str(other), "--out", str(tmp_path / "out")]) == 2
    assert "was made with metrics psnr, ssim, not psnr, as " in capsys.readouterr().err
