"""The page in a real browser: no error, no figure missing, nothing wider than the window."""

import re

import browser
import pytest
import report_kit as kit

from memobert_jax.report.__main__ import report

pytestmark = pytest.mark.skipif(
    browser.CHROMIUM is None, reason="no Chromium; `apt-get install chromium` brings one"
)


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser.page(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A page with everything on it, with long names, and how many plots it has."""
    out = tmp_path_factory.mktemp("report")
    first = kit.evaluation(out / "a_folder_with_quite_a_long_name_that_does_not_break", draw=1)
    other = kit.evaluation(out / "other", stamp="SELECTED ON TEST", command="x" * 300)
    paths = [first, other, kit.training(out / "run"), kit.dataset(out / "data")]
    report([str(path) for path in paths], out / "report.html", compare=True)
    arms, subsets = len(kit.SKILL), len(kit.SUBSETS)
    return out / "report.html", arms + 2 * (subsets + arms + 1) + 2


LABELS = tuple(f"label number {n}" for n in range(28))


@pytest.fixture(scope="module")
def other_tasks(tmp_path_factory):
    """Task -> (page, its plots): 28 labels of texts without speakers, and a value."""
    out = tmp_path_factory.mktemp("tasks")
    of = {"subsets": ("T",), "classes": LABELS, "named": False, "folds": 1, "sizes": (0,)}
    kit.evaluation(out / "multi", task="multi", per_speaker=40, **of)
    value = {arm: able for arm, able in kit.SKILL.items() if arm in ("head", "random_init")}
    kit.evaluation(out / "regression", task="regression", skill=value, frame_loss=(0, 0.5, 0.9))
    for task in ("multi", "regression"):
        report([str(out / task)], out / f"{task}.html")
    arms, subsets = len(kit.SKILL), len(kit.SUBSETS)
    return {
        "multi": (out / "multi.html", arms),
        "regression": (out / "regression.html", subsets + 1 + len(value) + 1),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1600])
def test_the_page_is_broken_in_a_browser(tab, written, width, scheme):
    _sound(tab, *written, width, scheme)


@pytest.mark.parametrize("task", ["multi", "regression"])
@pytest.mark.parametrize("width", [360, 1600])
def test_the_page_of_another_task_is_broken_in_a_browser(tab, other_tasks, width, task):
    _sound(tab, *other_tasks[task], width, "light")


def _sound(tab, path, plots, width, scheme):
    tab.requests.clear()
    found = tab.look(path, width, scheme)
    assert tab.errors == []
    assert {url for url in tab.requests if not url.startswith("about:")} == {path.as_uri()}
    assert found["overflow"] <= 0
    assert found["outside"] == []
    assert found["empty"] == []
    assert found["ids"] == []
    assert found["nowhere"] == []
    assert len(found["plots"]) == plots
    for plot in found["plots"]:
        assert plot["label"]
        assert plot["width"] >= 200, plot
        assert plot["height"] >= 100, plot
        assert plot["drawn"] > 5, plot
    ink, paper = (sum(map(int, re.findall(r"\d+", colour))) for colour in found["colours"])
    assert ink < paper if scheme == "light" else ink > paper


BROKEN = {
    "overflow": ("<main>", '<main><div style="width: 3000px">wide</div>'),
    "outside": ("<main>", '<main style="overflow: hidden"><div style="width: 3000px">wide</div>'),
    "empty": ("<main>", "<main><figure></figure>"),
    "ids": ("<main>", '<main id="training">'),
    "nowhere": ("<main>", '<main><a href="#nothing">there</a>'),
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_browser_does_not_notice_a_fault(tab, written, tmp_path, what):
    path, _ = written
    broken = tmp_path / "broken.html"
    broken.write_text(path.read_text().replace(*BROKEN[what], 1))
    found = tab.look(broken, 800, "light")[what]
    assert found > 0 if what == "overflow" else found


def test_the_browser_does_not_notice_what_is_loaded_or_run(tab, written, tmp_path):
    path, _ = written
    loud = '<main><script>console.error("here")</script><img src="gone.png" alt="">'
    broken = tmp_path / "broken.html"
    text = path.read_text().replace("default-src 'none'; ", "").replace("<main>", loud, 1)
    broken.write_text(text)
    try:
        tab.look(broken, 800, "light")
        assert any("here" in error for error in tab.errors)
        assert any(url.endswith("gone.png") for url in tab.requests)
    finally:
        tab.errors.clear()
        tab.requests.clear()
