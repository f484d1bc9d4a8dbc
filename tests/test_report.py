"""The report: what it reads, what it refuses, and that the page says what the files say."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import report_kit as kit

from memobert_jax.report import answers, findings, page, plots, runs, wording
from memobert_jax.report.__main__ import report


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with one of each."""
    out = tmp_path_factory.mktemp("report")
    kit.evaluation(out / "scores")
    kit.training(out / "run")
    kit.dataset(out / "data")
    return out


@pytest.fixture(scope="module")
def html(folder):
    paths = [str(folder / name) for name in ("scores", "run", "data")]
    report(paths, folder / "page.html")
    return (folder / "page.html").read_text()


def edited(folder, **changes):
    """Changes entries of results.json; a value that can be called gets the old one."""
    path = folder / "results.json"
    found = json.loads(path.read_text())
    for name, value in changes.items():
        found[name] = value(found.get(name)) if callable(value) else value
    path.write_text(json.dumps(found))
    return folder


def arrays(folder, **changes):
    """Changes arrays of scores.npz; None takes one out."""
    with np.load(folder / "scores.npz") as file:
        found = {name: file[name] for name in file.files} | changes
    kept = {name: array for name, array in found.items() if array is not None}
    np.savez_compressed(folder / "scores.npz", **kept)
    return folder


class Balance(HTMLParser):
    """Tags that are left open or closed in another order than opened."""

    VOID = ("meta", "link", "br", "hr", "img", "input")

    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append((tag, self.getpos()))


def test_tags_of_the_page_are_not_balanced(html):
    found = Balance()
    found.feed(html)
    assert found.wrong == []
    assert found.open == []


def test_the_page_asks_something_of_the_network_or_runs_a_script(html):
    without = html.replace("http://www.w3.org/", "")
    assert not re.search(r"https?://|<script|<link|<img|@import|url\((?!#)| on\w+=", without)
    assert "default-src 'none'" in html


def test_a_section_is_missing(html):
    for title in (
        "Result", "Few labels", "With and without each modality", "What is taken for what",
        "Does it know when it is right?", "From speaker to speaker", "Fine print", "Pre-training",
        "Data: what went in and what was kept",
    ):  # fmt: skip
        assert f">{title}</h" in html
    assert 'class="none"' not in html
    assert html.count("<svg xmlns") == 4 + 4 + 1 + 2  # subsets, arms, speakers, objectives


def test_the_fine_print_lacks_something(html):
    for value in (
        "generated_folds, version 1", "0123456789ab", "test, 96 clips", "1, 2", "a1b2c3d",
        "python -m memobert_jax.evaluate --config=configs/evaluate_emotion.py", "1 x cpu",
        "RUN/checkpoints/100", "train: 3 no label", "FEATURES",
    ):  # fmt: skip
        assert value in html.split("Fine print</h3>")[1]


def test_the_same_results_give_another_page(folder, html):
    paths = [str(folder / name) for name in ("scores", "run", "data")]
    report(paths, folder / "page.html")
    assert (folder / "page.html").read_text() == html


def test_every_section_without_data_says_how_to_get_them(tmp_path):
    kit.evaluation(tmp_path / "few", sizes=(4,), named=False)
    report([str(tmp_path / "few")], tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    for words in (
        "Evaluate with two or more sizes", "No speakers:", "No genders:", "RUN/checkpoints/100",
        "<code>metrics.jsonl</code>", "<code>ledger.jsonl</code>",
    ):  # fmt: skip
        assert words in text
    kit.training(tmp_path / "run")
    report([str(tmp_path / "run")], tmp_path / "b.html")
    assert (
        "output folder of <code>python -m memobert_jax.evaluate</code>"
        in (tmp_path / "b.html").read_text()
    )


def test_a_stamp_is_not_on_the_page(tmp_path, html):
    assert 'class="stamp"' not in html
    stamp = "SELECTED ON TEST (--reproduce=test_oracle)"
    kit.evaluation(tmp_path / "leaky", stamp=stamp, sizes=(4,))
    report([str(tmp_path / "leaky")], tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert text.index(f'<p class="stamp" role="alert"><strong>{stamp}') < text.index("<h1>")
    # Taken out of one of the two files it is still there.
    arrays(edited(tmp_path / "leaky", stamp=""), stamp=np.array(stamp))
    report([str(tmp_path / "leaky")], tmp_path / "b.html")
    assert f"<strong>{stamp}" in (tmp_path / "b.html").read_text()


def test_what_a_result_says_is_taken_for_html(tmp_path):
    kit.evaluation(tmp_path / "odd", sizes=(4,), command="<script>alert(1)</script>")
    report([str(tmp_path / "odd")], tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_the_headline_differs_from_the_measures_of_the_runs(folder):
    e = runs.read(folder / "scores", "scores")
    rows = {row["arm"]: row for row in findings.headline(e)}
    for arm in e.arms:
        found = e.scores[arm][e.largest(arm)]
        each = [e.task.measure(run[e.subsets.index("TFS")], e.labels) for run in found.values()]
        for name in e.task.metrics:
            expected = np.mean([one[name] for one in each])
            assert rows[arm]["cells"][name]["value"] == pytest.approx(expected)
        by_fold = [
            run["subsets"]["TFS"]["uar"]
            for run in e.results["arms"][arm]["runs"]
            if run["per_class"] == e.largest(arm)
        ]
        assert len(by_fold) == len(found) * e.folds
        assert rows[arm]["cells"]["uar"]["sd"] == pytest.approx(np.std(by_fold, ddof=1))
    assert rows["prompt"]["fitted_on"] == "all (48)"
    assert rows["zero_shot"]["fitted_on"] == "none"


def test_the_numbers_on_the_page_are_not_those_of_the_statistics(folder, html):
    e = runs.read(folder / "scores", "scores")
    cell = findings.intervals(e, "prompt", 0)["uar"]["TFS"]
    assert cell["low"] < cell["value"] < cell["high"]
    row = re.search(r"<tr class=\"focus\">(.*?)</tr>", html, re.DOTALL)[1]
    assert f">{100 * cell['value']:.1f}</td>" in row
    assert f">{100 * cell['low']:.1f}{wording.NONE}{100 * cell['high']:.1f}</td>" in row


def test_a_curve_is_not_in_the_order_of_the_labelled_clips(folder):
    e = runs.read(folder / "scores", "scores")
    assert e.sizes("prompt") == [1, 4, 0]
    assert e.sizes("zero_shot") == [None]
    values = [findings.intervals(e, "prompt", size)["uar"]["TFS"]["value"] for size in (1, 4, 0)]
    assert values == sorted(values)


def test_text_that_says_nothing_is_not_marked_as_guessing(folder):
    e = runs.read(folder / "scores", "scores")
    found = findings.subsets(e)
    cells = dict(zip(found["columns"], found["rows"]["prompt"], strict=True))
    assert cells["T"]["at_chance"]
    assert not cells["TFS"]["at_chance"]
    assert cells["TFS"]["shade"] > cells["F"]["shade"] > cells["T"]["shade"]


def test_what_is_near_guessing_is_shaded_like_what_is_far_from_it(tmp_path):
    weak = dict.fromkeys(("prompt", "head"), 0.05)
    e = runs.read(kit.evaluation(tmp_path / "weak", sizes=(4,), skill=weak), "weak")
    shades = [cell["shade"] for row in findings.subsets(e)["rows"].values() for cell in row]
    assert max(shades) < 0.6


def test_confusion_is_not_the_share_of_the_true_class(folder):
    e = runs.read(folder / "scores", "scores")
    found = np.array(answers.confusion(e)["arms"]["prompt"])
    np.testing.assert_allclose(found.sum(1), 1)
    uar = findings.intervals(e, "prompt", 0)["uar"]["TFS"]["value"]
    assert np.diag(found).mean() == pytest.approx(uar)


def test_clips_that_were_not_scored_are_not_counted(tmp_path):
    e = runs.read(kit.evaluation(tmp_path / "a", lacking=(3, 5), sizes=(4,)), "a")
    assert findings.coverage(e) == {
        "rows": {"T": (96, 96), "F": (94, 96), "S": (96, 96), "TFS": (96, 96)},
        "unequal": [],
    }


def test_arms_on_different_clips_are_not_called_out(tmp_path):
    folder = kit.evaluation(tmp_path / "a", sizes=(4,))
    with np.load(folder / "scores.npz") as file:
        head = file["head-1-1-4"].copy()
    head[:, 7] = np.nan
    arrays(folder, **{"head-1-1-4": head})
    report([str(folder)], tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert re.search(
        r"Arms were scored on different clips:</strong> pre-trained, head fitted", text
    )
    assert "scored on the same clips" not in text
    rows = findings.coverage(runs.read(folder, "a"))["rows"]
    assert rows == dict.fromkeys(kit.SUBSETS, (95, 96))


def test_what_was_never_scored_breaks_the_page(tmp_path):
    folder = kit.evaluation(tmp_path / "a", sizes=(4,), skill={"zero_shot": 1.0, "prompt": 1.0})
    with np.load(folder / "scores.npz") as file:
        found = {name: file[name].copy() for name in file.files if name[:6] in ("zero_s", "prompt")}
    for scored in found.values():
        scored[kit.SUBSETS.index("TFS")] = np.nan
    report([str(arrays(folder, **found))], tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "No calibration: no clip was scored with text, face and speech" in text
    assert f"<b>{wording.NONE} %</b>" in text


def test_without_five_speakers_the_reason_is_not_given(tmp_path):
    kit.evaluation(tmp_path / "a", speakers=4, sizes=(4,))
    report([str(tmp_path / "a")], tmp_path / "a.html")
    assert (
        f"No interval where it says {wording.NONE}: only 4 cluster(s)"
        in (tmp_path / "a.html").read_text()
    )


def test_seconds_of_the_ledger_are_not_on_the_page(html):
    data = html.split('id="data"')[1]
    for cells in (
        ("input", "100.0", "100.0", "3"), ("kept", "62.5", "62.5", "9"),
        ("<code>outside_cues</code>", "25.0", "25.0", "8"),
        ("<code>no_face</code>", "12.5", "12.5", "2"),
    ):  # fmt: skip
        row = next(row for row in data.split("<tr")[1:] if f">{cells[0]}</th>" in row)
        assert [re.sub("<.*?>", "", c) for c in re.findall(r'"n">(.*?)</td>', row)] == [*cells[1:]]
    assert "no face in the utterance" in data
    assert "<code>cut_by_voice</code> 4" in data


def test_a_ledger_of_videos_is_not_summed_up(tmp_path):
    folder = kit.dataset(tmp_path / "1.0.0")
    (folder / "metadata.json").write_text("{}")
    video = {"duration_s": 4.0, "clips": 1, "kept_s": 3.0, "notes": {},
             "dropped": {"no_face": {"seconds": 1.0, "count": 1}}}  # fmt: skip
    (folder / "ledger.jsonl").write_text((json.dumps(video) + "\n") * 2)
    found = runs.read(folder, "a")
    assert found.totals["kept_s"] == 6.0
    assert found.totals["dropped"] == {"no_face": {"seconds": 2.0, "count": 2}}


def test_the_cut_last_line_of_a_killed_run_is_not_counted(tmp_path):
    folder = kit.training(tmp_path / "run")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 110, "loss/ml')
    found = runs.read(folder, "run")
    assert found.damaged_lines == 1
    assert found.clips == 640
    steps = list(range(10, 110, 10))
    assert found.heldout["mlm"] == (steps, [3 - step / 60 for step in steps])
    report([str(folder)], tmp_path / "a.html")
    assert "1 line could not be read" in (tmp_path / "a.html").read_text()


def refused(path, error, *words):
    with pytest.raises(error) as found:
        runs.read(path, "x")
    for word in (str(path), *words):
        assert word in str(found.value)


def test_a_folder_that_is_nothing_is_not_refused_by_name(tmp_path):
    refused(tmp_path, FileNotFoundError, "output folder of evaluate", "DATA/NAME/CONFIG/VERSION")


def test_results_of_format_1_are_not_refused(tmp_path):
    folder = edited(kit.evaluation(tmp_path / "a", sizes=(4,)), format=1)
    refused(
        folder, ValueError, "is of format 1; the report reads format 3", "memobert_jax.evaluate"
    )


def test_files_that_are_not_of_one_evaluation_are_not_refused(tmp_path):
    whole = kit.evaluation(tmp_path / "whole", sizes=(4,))

    def fresh(name):
        return shutil.copytree(whole, tmp_path / name)

    refused(arrays(fresh("a"), speakers=None), ValueError, "has no speakers")
    refused(arrays(fresh("b"), **{"head-2-2-4": None}), ValueError, "a run 'head-2-2-4'")
    refused(arrays(fresh("c"), zero_shot=np.zeros((4, 95, 4))), ValueError, "shape (4, 95, 4)")
    refused(arrays(fresh("d"), fold=np.zeros(5, np.int32)), ValueError, "fold does not name each")
    other = np.array(["anger", "happiness", "neutral", "fear"])
    refused(
        arrays(fresh("e"), classes=other), ValueError, "classes anger, happiness, neutral, fear"
    )
    (fresh("f") / "scores.npz").unlink()
    refused(tmp_path / "f", FileNotFoundError, "scores.npz is missing")
    (fresh("g") / "results.json").write_text("{")
    refused(tmp_path / "g", ValueError, "is not JSON")
    refused(edited(fresh("h"), arms={}), ValueError, "has no arm")
    refused(arrays(fresh("i"), ids=np.array(["one"] * 96)), ValueError, "scored in two folds")
    refused(arrays(fresh("j"), labels=np.zeros((96, 4), np.int32)), ValueError, "of task single")
    (fresh("k") / "scores.npz").write_bytes(b"PK\x03\x04 cut")
    refused(tmp_path / "k", ValueError, "scores.npz cannot be read")
    (fresh("l") / "results.json").write_text('{"format": 3, "arms": {}}')
    refused(tmp_path / "l", ValueError, "has no task, config, checkpoint")


def test_runs_and_datasets_without_content_are_not_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/metrics.jsonl").write_text('{"step": 0, "trivial/mlm/unigram": 1.0}\n')
    refused(tmp_path / "run", ValueError, "no loss yet")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/metadata.json").write_text("{}")
    refused(tmp_path / "data", ValueError, "no yield ledger")


def test_folders_of_one_name_cannot_be_told_apart():
    assert runs.labels(["x/a", "x/b"]) == ["a", "b"]
    assert runs.labels(["x/a", "y/a", "x/b"]) == ["x/a", "y/a", "b"]
    assert runs.labels(["data/meld/default/1.0.0"]) == ["meld/default/1.0.0"]
    with pytest.raises(ValueError, match="given more than once: x/a/"):
        runs.labels(["x/a", "x/a/"])


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "memobert_jax.report", *map(str, arguments)],
        capture_output=True,
        text=True,
    )


def test_the_command_writes_no_page_or_prints_a_traceback(tmp_path):
    kit.dataset(tmp_path / "data")
    done = command(tmp_path / "data", f"--output={tmp_path / 'new/report.html'}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path / 'new/report.html'}: ")
    text = (tmp_path / "new/report.html").read_text()
    assert f"python -m memobert_jax.report {tmp_path / 'data'} --output=" in text
    done = command(tmp_path / "nothing", f"--output={tmp_path / 'report.html'}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'nothing'} has none of results.json")
    assert not (tmp_path / "report.html").exists()


def test_a_stand_in_colour_or_a_font_is_left_in_a_plot(html):
    drawn = "".join(re.findall(r"<svg xmlns.*?</svg>", html, re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawn)) <= {"#ffffff"}
    assert "font-family" not in drawn
    assert "DejaVu" not in drawn
    for variable in ("ink", "muted", "rule", "accent", "paper"):
        assert f"var(--{variable})" in drawn
    assert "labelled clips of each class</text>" in drawn


def test_labels_of_an_axis_run_into_each_other():
    ticks = {1.0: "1", 64.0: "64", 66.0: "all"}
    assert plots._spaced(ticks) == {1.0: "1", 66.0: "all"}
    assert plots._spaced({8.0: "8"}) == {8.0: "8"}


def contrast(one, other):
    """Contrast ratio of two colours, WCAG 2."""

    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_is_hard_to_read_in_the_light_or_the_dark_page():
    style = (page.TEMPLATES / "style.css").read_text()
    for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL):
        found = dict(re.findall(r"--([\w-]+): ([^;]+);", block))

        def rgb(name, found=found):
            digits = found[name].lstrip("#")
            digits = digits if len(digits) == 6 else "".join(2 * d for d in digits)
            return np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)]) / 255

        accent = np.array([int(n) for n in found["accent-rgb"].split()]) / 255
        np.testing.assert_allclose(accent, rgb("accent"), atol=1e-9)
        deepest = float(found["deepest"])
        shaded = deepest * accent + (1 - deepest) * rgb("paper")
        pairs = [(rgb(name), rgb("paper")) for name in ("ink", "muted", "accent")]
        pairs += [(rgb("ink"), shaded), (rgb("on-red"), rgb("red"))]
        assert min(contrast(*pair) for pair in pairs) >= 4.5


def test_numbers_are_written_another_way():
    assert wording.points(-0.0123) == "\u22121.2"
    assert wording.points(0.05) == "+5.0"
    assert wording.percent(None) == wording.NONE
    assert wording.span(0.1, None) == wording.NONE
    assert wording.probability(0.0004) == "< 0.001"
    assert wording.modalities("TFS") == "text, face and speech"
    sizes = [wording.size(size) for size in (None, 0, 8, "10%")]
    assert sizes == ["none", "all", "8 a class", "10 %"]
    assert wording.fitted_on(0, [760, 800]) == f"all (760{wording.NONE}800)"


def test_a_corpus_that_was_read_has_no_listing_on_the_page(tmp_path):
    listing = {"listed": 54, "kept": 52, "omitted": {"no_text": {"count": 2, "examples": []}}}
    kit.dataset(tmp_path / "texts", ledger={}, listing=listing)
    report([str(tmp_path / "texts")], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "Listed 54, kept 52" in text
    assert "Yield ledger of" not in text
