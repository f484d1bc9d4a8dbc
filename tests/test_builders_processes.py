"""Work in processes: their death costs an item at most, and none outlives the build."""

import os
import subprocess
import sys
from pathlib import Path

import builders_work
import pytest

from tfds_builders import processes


@pytest.fixture
def run(tmp_path):
    """(items given up, files left) of `work_or_die` on some items."""

    def go(items):
        given_up = []
        (tmp_path / "begun").mkdir()
        processes.for_each(
            items,
            builders_work.work_or_die,
            str(tmp_path),
            workers=2,
            folder=tmp_path / "begun",
            give_up=given_up.append,
        )
        return given_up, {path.name for path in tmp_path.glob("done *")}

    return go


def test_a_process_that_dies_once_costs_nothing(run):
    assert run([1, 2, 5, 7]) == ([], {"done 1", "done 2", "done 5", "done 7"})


def test_an_item_whose_process_dies_twice_is_given_up_and_the_others_are_done(run):
    assert run([1, 2, 3, 4]) == ([3], {"done 1", "done 2", "done 4"})


def test_an_error_ends_the_work_and_keeps_its_kind(run):
    with pytest.raises(OSError, match="the disk is full"):
        run([1, 99, 2, 4])


def test_no_process_outlives_a_killed_parent(tmp_path):
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import builders_work, pathlib\n"
        "from tfds_builders import processes\n"
        "if __name__ == '__main__':\n"
        "    processes.for_each([1, 2], builders_work.work_until_orphaned, workers=1,\n"
        f"        folder=pathlib.Path({str(tmp_path)!r}), give_up=print)\n"
    )
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,  # read to its end: until no process holds it any more
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == -9
    assert done.stdout.count("working") == 1
