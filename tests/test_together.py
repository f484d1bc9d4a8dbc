"""Fits at once are the fits that each would be alone, dealt out over the devices."""

import dataclasses
import re

import evaluation_kit as kit
import jax
import numpy as np
import pytest
import runs
import samples

from memobert_jax import arms, checkpoint, classify, fit, fits, sharding, stages, tasks, workbench
from memobert_jax.config import MeshConfig
from memobert_jax.fewshot import Run, Size
from memobert_jax.together import Course, compile_together, whole_stages
from memobert_jax.views import Rows

SUBSETS = ("T", "TFS")
LAYOUT = kit.layout(SUBSETS)
CFG = dataclasses.replace(kit.FIT, steps=6, eval_every=3, dropout=0.1)
LR = 3e-3


def mesh(data=2, fsdp=1, tensor=1):
    return sharding.make_mesh(MeshConfig(data, fsdp, tensor), jax.devices()[: data * fsdp * tensor])


def programs(on):
    model = dataclasses.replace(kit.network(), dropout=CFG.dropout)
    prompt = classify.prompt_classifier(model, kit.words())
    return stages.compile_program(prompt, tasks.single(4), CFG, on)


def starts_of(program, number):
    """First parameters, another tree for every fit."""
    classifier = program.classifier
    where = classifier.shardings(program.mesh)
    return [jax.device_put(kit.random_tree(classifier.shapes, n), where) for n in range(number)]


def courses_of(number):
    """Fits that differ in their clips, how many these are, their pull and seed."""
    return [
        Course(Rows(kit.clips(10 + 6 * n, 50 * n), SUBSETS, LAYOUT), 0.02 * n, 7 + n)
        for n in range(number)
    ]


def told(program, params):
    """Scores of some clips: parameters themselves differ where Adam divides noise by noise."""
    return classify.score(program.score, params, *part(program, kit.clips(12, 400))).outputs


def steps_of(program, progress):
    """(step, scores, losses) of every fit in a stage."""
    return [
        (step, [told(program, one) for one in params], losses) for step, params, losses in progress
    ]


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with runs.quick_compilation(tmp_path_factory.mktemp("xla")):
        yield


@pytest.mark.parametrize(("devices", "number"), [(2, 3), (1, 2)], ids=str)
def test_fits_at_once_are_the_fits_that_each_would_be_alone(devices, number):
    """Also where they are no multiple of the devices, or share a device."""
    with jax.set_mesh(on := mesh(devices)):
        program = programs(on)
        starts, courses = starts_of(program, number), courses_of(number)
        progress = whole_stages(compile_together(program), starts, courses, CFG, LR)
        many = steps_of(program, progress)
        assert [step for step, _, _ in many] == [3, 6]
        for n, (start, c) in enumerate(zip(starts, courses, strict=True)):
            stage = stages.whole_stage(program, start, c.rows, CFG, LR, c.pull, c.seed)
            for (step, params, loss), (again, scores, losses) in zip(stage, many, strict=True):
                assert (step, number) == (again, len(losses))
                assert losses[n] == pytest.approx(loss, rel=1e-4)
                np.testing.assert_allclose(scores[n], told(program, params), atol=1e-3)
        before = told(program, starts[0])
        assert np.abs(many[-1][1][0] - before).max() > 0.05, "nothing was fitted"


def test_a_device_steps_its_own_fits_and_waits_for_no_other():
    with jax.set_mesh(on := mesh()):
        program = programs(on)
        together = compile_together(program)
        starts = together.stack(*starts_of(program, 4))
        leaf = jax.tree.leaves(starts)[0]
        assert leaf.shape[0] == 4
        assert {shard.data.shape[0] for shard in leaf.addressable_shards} == {2}
        batches = [stages.local_batch(c.rows, CFG, 0, c.seed, 0, 1) for c in courses_of(4)]
        batch = {name: np.stack([b[name] for b in batches]) for name in batches[0]}
        given = together.start(starts), starts["memobert"], batch, np.float32(LR)
        given += np.zeros(4, np.float32), np.arange(4, dtype=np.uint32)
        text = together.fit.lower(*given).compile().as_text()
    talk = [line for line in text.splitlines() if re.search(r"= .*(all-|collective)", line)]
    assert talk
    assert all("f32[4]" in line and "all-gather" in line for line in talk), "more than the losses"


@pytest.mark.parametrize("shape", [(2, 1), (1, 2)], ids=str)
def test_a_network_that_is_split_over_devices_is_refused(shape):
    with pytest.raises(
        ValueError, match=r"fit\.together: mesh .* set mesh\.tensor and mesh\.fsdp to 1"
    ):
        compile_together(programs(mesh(1, *shape)))


def test_each_fit_keeps_what_validates_best_for_itself():
    """One learns; one is shown wrong labels, finds nothing better, and keeps its start."""
    with jax.set_mesh(on := mesh()):
        program = programs(on)
        cfg = dataclasses.replace(CFG, steps=40, eval_every=10, patience=2, dropout=0.0)
        right = kit.clips(32)
        wrong = [clip._replace(label=(clip.label + 1) % 4) for clip in right]
        validation = part(program, kit.clips(16, 100))
        base = jax.device_put(kit.random_tree(program.classifier.shapes, 0),
                              program.classifier.shardings(on))  # fmt: skip
        (learned,) = fit.fit(
            program, [fit.Job(base, part(program, right), 0, 0.0)], validation, cfg
        )
        assert learned.stage == "all"
        start = learned.params
        done: list[int] = []
        jobs = [fit.Job(base, part(program, right), 0, 0.0),
                fit.Job(start, part(program, wrong), 1, 0.0)]  # fmt: skip
        first, second = fit.fit(
            program, jobs, validation, cfg, together=compile_together(program), advance=done.append
        )
    assert (first.stage, second.stage) == ("all", "start")
    assert len(second.history) == 3, "a fit without anything better is not validated any more"
    assert len(first.history) > 3
    jax.tree.map(np.testing.assert_array_equal, second.params, start)
    assert sum(done) == 2 * cfg.steps


def places_of(run):
    return [run[key] for key in ("seed", "per_class", "train_clips")]


def part(program, clips):
    rows = Rows(clips, SUBSETS, LAYOUT)
    return fit.Part(rows, list(classify.global_batches(rows, 8, program.mesh)))


def test_a_fit_that_ended_and_then_diverges_costs_the_others_nothing(monkeypatch):
    """It would have stopped, alone; one that goes on and diverges is an error."""
    with jax.set_mesh(on := mesh()):
        program = programs(on)
        base = jax.device_put(
            kit.random_tree(program.classifier.shapes, 0), program.classifier.shardings(on)
        )
        cfg = dataclasses.replace(CFG, steps=3, eval_every=1, patience=1)
        jobs = [fit.Job(base, part(program, kit.clips(8)), seed, 0.0) for seed in (0, 1)]
        validation = part(program, kit.clips(8, 100))
        offered = iter([1.0, 1.0, 2.0, 0.5, 3.0, 4.0])

        def selection(outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
            return {"uar": next(offered), "loss": 1.0}

        program = program._replace(task=program.task._replace(selection=selection))

        def stages_of(*given):
            for step, losses in ((1, [1.0, 1.0]), (2, [1.0, np.nan]), (3, [1.0, np.nan])):
                yield step, iter([base, base]), losses

        monkeypatch.setattr(fit, "whole_stages", stages_of)
        first, second = fit.fit(program, jobs, validation, cfg)
        assert [len(found.history) for found in (first, second)] == [4, 2]
        offered = iter([1.0, 1.0, 2.0, 2.0, 3.0])
        with pytest.raises(FloatingPointError, match="stage all is nan before step 2"):
            fit.fit(program, jobs, validation, cfg)


def test_runs_on_all_clips_share_them_whatever_the_seed():
    assert Run(0, 1, 1, Size()).subset == Run(0, 2, 2, Size()).subset
    assert Run(0, 1, 1, Size(4)).subset != Run(0, 2, 2, Size(4)).subset


def test_an_evaluation_is_the_same_and_takes_up_fits_that_were_made_one_by_one(tmp_path):
    data = samples.dataset(tmp_path / "data", {"train": 32, "validation": 16, "test": 24},
                           emotional=False)  # fmt: skip
    run = kit.save(tmp_path / "run", kit.params(), data)
    cfg = dataclasses.replace(
        kit.EVALUATE,
        source=str(data),
        subsets=SUBSETS,
        seeds=(0, 1),
        arms=("zero_shot", "prompt", "probe"),
        fit=dataclasses.replace(CFG, per_class=(2, 0)),
        mesh=MeshConfig(8, 1, 1),
    )
    path = checkpoint.resolve(run)
    found, done = {}, {}
    for together in (1, 4):
        chosen = dataclasses.replace(cfg, fit=dataclasses.replace(cfg.fit, together=together))
        bench = workbench.Workbench(chosen, checkpoint.metadata(path))
        done[together] = []
        found[together] = arms.compare(
            bench,
            [path],
            lambda n, name, steps=done[together]: steps.append(n),
            fits.Fits(tmp_path / str(together)),
        )
    alone, together = found[1], found[4]
    assert set(alone.outputs) == set(together.outputs)
    for name, outputs in alone.outputs.items():
        np.testing.assert_allclose(together.outputs[name], outputs, atol=5e-3, err_msg=name)
    for arm, one in alone.results["arms"].items():
        places = [[run[key] for key in ("seed", "per_class", "train_clips")] for run in one["runs"]]
        again = together.results["arms"][arm]["runs"]
        assert [
            [run[key] for key in ("seed", "per_class", "train_clips")] for run in again
        ] == places
    assert sum(done[1]) == sum(done[4]) == 4 * CFG.steps
    chosen = dataclasses.replace(cfg, fit=dataclasses.replace(cfg.fit, together=3))
    bench = workbench.Workbench(chosen, checkpoint.metadata(path))
    again = arms.compare(bench, [path], store=fits.Fits(tmp_path / "1"))
    assert again.results["fits_reused"] == 1 + 2 * 4
