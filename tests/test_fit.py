"""Fitting and scoring: views do not see each other, fits learn, and never validate worse."""

import dataclasses

import evaluation_kit as kit
import jax
import numpy as np
import pytest

from memobert_jax import classify, fit, stages, tasks
from memobert_jax.classify import HEAD, TRUNK
from memobert_jax.views import Rows

KINDS = ("prompt", "head")
TASK = tasks.single(4)
STAGES = {"prompt": ["start", "all", "all"], "head": ["start", "top", "top", "all", "all"]}
"""What is validated: a prompt has nothing new to fit alone."""
LAYOUT = kit.layout(("T", "F", "TFS"))
SUBSETS = ("T", "F", "TFS")
EYES = 1e-5
"""How much a score may depend on what else is in the row."""


@pytest.fixture(scope="module")
def programs():
    """One program a kind, on one device."""
    model = kit.network()
    classifiers = (
        classify.prompt_classifier(model, kit.words()),
        (classify.head_classifier(model, 4)),
    )
    return {c.kind: stages.compile_program(c, TASK, kit.FIT, kit.mesh()) for c in classifiers}


@pytest.fixture(scope="module")
def starts(programs):
    """Parameters that each kind may start with."""
    return {
        kind: jax.device_put(
            kit.random_tree(program.classifier.shapes, 0), program.classifier.shardings(kit.mesh())
        )
        for kind, program in programs.items()
    }


def rows_of(clips, subsets=SUBSETS):
    return Rows(clips, subsets, LAYOUT)


def score(program, params, rows):
    batches = classify.global_batches(rows, 8, program.mesh)
    return classify.score(program.score, params, rows, batches).outputs


def part(program, clips):
    rows = rows_of(clips)
    return fit.Part(rows, list(classify.global_batches(rows, 8, program.mesh)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_alone_scores_as_it_does_in_a_packed_row(programs, starts, kind):
    clips = kit.clips(16)
    packed = score(programs[kind], starts[kind], rows_of(clips))
    assert len(rows_of(clips)) < len(clips) * len(SUBSETS) / 2
    for number in (0, 7, 15):
        alone = score(programs[kind], starts[kind], rows_of(clips[number : number + 1]))
        assert np.abs(alone[:, 0] - packed[:, number]).max() < EYES


@pytest.mark.parametrize("kind", KINDS)
def test_a_hidden_modality_changes_nothing(programs, starts, kind):
    clip = kit.clips(1)[0]
    other = clip._replace(face=-clip.face, with_text=kit.prompt().render("we won the match", 32))
    rows = [rows_of([c], ("S", "F", "T", "FS")) for c in (clip, other)]
    one, two = (score(programs[kind], starts[kind], r)[:, 0] for r in rows)
    same = np.abs(one - two).max(-1) < EYES
    assert same.tolist() == [True, False, False, False]


def test_a_network_that_favours_a_word_predicts_its_class(programs, starts):
    trunk = starts["prompt"][TRUNK]
    bias = np.array(trunk["mlm_head"]["bias"])
    bias[kit.words().ids[3]] += 30.0
    params = {TRUNK: {**trunk, "mlm_head": {**trunk["mlm_head"], "bias": bias}}}
    clips = kit.clips(8)
    found = score(programs["prompt"], params, rows_of(clips))
    assert (found.argmax(-1) == 3).all()
    labels = np.array([clip.label for clip in clips])
    assert TASK.measure(found[0], labels)["outside"] < 1e-3
    before = score(programs["prompt"], starts["prompt"], rows_of(clips))
    assert TASK.measure(before[0], labels)["outside"] > 0.5


@pytest.fixture(scope="module")
def fitted(programs, starts):
    """Each kind, fitted on 32 clips and validated on 16 others."""
    out = {}
    for kind, program in programs.items():
        train, validation = part(program, kit.clips(32)), part(program, kit.clips(16, 100))
        done: list = []
        job = fit.Job(starts[kind], train, 0, 0.01)
        (found,) = fit.fit(program, [job], validation, kit.FIT, advance=done.append)
        out[kind] = found, done
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_on_clips_that_can_be_told_apart_tells_other_clips_apart(programs, fitted, kind):
    clips = kit.clips(40, 200)
    found = score(programs[kind], fitted[kind][0].params, rows_of(clips))
    labels = np.array([clip.label for clip in clips])
    assert TASK.measure(found[SUBSETS.index("TFS")], labels)["uar"] > 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_validated_best_of_all_that_was_tried(programs, fitted, kind):
    found, done = fitted[kind]
    assert [h["stage"] for h in found.history] == STAGES[kind]
    best = max(found.history, key=lambda h: (h["uar"], -h["loss"]))
    assert found.validation == {name: best[name] for name in ("uar", "loss")}
    assert (found.stage, found.step) == (best["stage"], best["step"])
    again = score(programs[kind], found.params, rows_of(kit.clips(16, 100)))
    labels = np.arange(16) % 4
    assert TASK.selection(again, labels)["loss"] == pytest.approx(best["loss"], abs=1e-4)
    assert sum(done) == kit.FIT.steps


def test_the_start_is_kept_where_every_step_makes_it_worse(programs, fitted):
    start, program = fitted["prompt"][0].params, programs["prompt"]
    wrong = [clip._replace(label=(clip.label + 1) % 4) for clip in kit.clips(16)]
    job = fit.Job(start, part(program, wrong), 0, 0.0)
    (found,) = fit.fit(program, [job], part(program, kit.clips(16, 100)), kit.FIT)
    assert found.stage == "start"
    jax.tree.map(np.testing.assert_array_equal, found.params, start)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_fit_again(programs, starts, fitted, kind):
    program = programs[kind]
    train, validation = part(program, kit.clips(32)), part(program, kit.clips(16, 100))
    jobs = [fit.Job(starts[kind], train, seed, 0.01) for seed in (0, 1)]
    (again,), (other,) = (fit.fit(program, [job], validation, kit.FIT) for job in jobs)
    assert again.history == fitted[kind][0].history
    assert other.history != again.history


def test_stage_top_fits_what_is_new_and_nothing_else(programs, starts):
    states = np.random.default_rng(0).normal(size=(12, 16)).astype(np.float32)
    labels = np.arange(12, dtype=np.int32) % 4
    stage = stages.top_stage(programs["head"], starts["head"], states, labels, kit.FIT, 1e-2, 0)
    *_, (step, params, _) = stage
    assert step == kit.FIT.top_steps
    pairs = zip(
        jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(starts["head"]), strict=True
    )
    changed = {path[0].key + path[1].key for (path, a), b in pairs if not np.array_equal(a, b)}
    assert changed == {TRUNK + "pooler", HEAD + "classifier"}


def test_room_for_a_larger_part_changes_nothing_but_the_shapes(programs, starts):
    states = np.random.default_rng(0).normal(size=(12, 16)).astype(np.float32)
    labels = np.arange(12, dtype=np.int32) % 4
    given = programs["head"], starts["head"], states, labels, kit.FIT, 1e-2, 0
    (*_, (_, tight, loss)), (*_, (_, roomy, same)) = (
        list(stages.top_stage(*given, room=room)) for room in (0, 30)
    )
    assert same == pytest.approx(loss, rel=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), tight, roomy)


def test_a_pull_holds_the_network_near_its_start(programs, starts):
    program, start = programs["prompt"], starts["prompt"]
    rows = rows_of(kit.clips(16))

    def moved(pull):
        *_, last = stages.whole_stage(program, start, rows, kit.FIT, 3e-3, pull, 0)
        moves = jax.tree.map(lambda a, b: float(np.square(a - b).sum()), last[1], start)
        return sum(jax.tree.leaves(moves))

    assert moved(0.5) < 0.25 * moved(0.0)


def test_a_network_that_diverged_is_not_taken_for_clips_without_modalities(programs, starts):
    program = programs["prompt"]
    broken = jax.tree.map(lambda x: x * np.float32("nan"), starts["prompt"])
    train, validation = part(program, kit.clips(8)), part(program, kit.clips(8, 100))
    with pytest.raises(FloatingPointError, match="scores are not finite: the parameters diverged"):
        fit.fit(program, [fit.Job(broken, train, 0, 0.0)], validation, kit.FIT)


def test_patience_ends_a_stage_that_finds_nothing_better(programs, fitted):
    program, start = programs["prompt"], fitted["prompt"][0].params
    wrong = [clip._replace(label=(clip.label + 1) % 4) for clip in kit.clips(16)]
    cfg = dataclasses.replace(kit.FIT, patience=1)
    done: list = []
    job, validation = (
        fit.Job(start, part(program, wrong), 0, 0.0),
        part(program, kit.clips(16, 100)),
    )
    (found,) = fit.fit(program, [job], validation, cfg, advance=done.append)
    assert [h["stage"] for h in found.history] == ["start", "all"]
    assert sum(done) == cfg.steps


@pytest.mark.parametrize(("items", "size"), [(10, 4), (3, 8), (8, 8)])
def test_every_item_comes_once_an_epoch(items, size):
    drawn = [item for step in range(3 * items) for item in stages.draw(items, size, step, 5)]
    for first in range(0, len(drawn), items):
        assert sorted(drawn[first : first + items]) == list(range(items))
    assert drawn[:items] != drawn[items : 2 * items] or items == 1
    assert stages.draw(items, size, 1, 5) != stages.draw(items, size, 1, 6) or items < 4


def test_a_loss_that_is_not_finite_names_its_stage(programs, starts):
    program, start = programs["prompt"], starts["prompt"]
    states, labels = np.full((4, 16), np.nan, np.float32), np.arange(4, dtype=np.int32)
    broken = jax.tree.map(lambda x: x * np.float32("nan"), start)
    head = programs["head"], starts["head"]
    top = stages.top_stage(*head, states, labels, kit.FIT, 1.0, 0)
    whole = stages.whole_stage(program, broken, rows_of(kit.clips(8)), kit.FIT, 1.0, 0.0, 0)
    for name, stage in (("top", top), ("all", whole)):
        with pytest.raises(FloatingPointError, match=f"stage {name} is nan"):
            list(stage)
