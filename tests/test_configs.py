"""Every file of configs/ builds, resolves, and comes back the same from its checkpoint form.

The resolved forms stand in `golden/`: a change of a default shows which recipes it changes. With
GOLDEN=write in the environment they are written instead of compared.
"""

import importlib
import inspect
import json
import os
import pkgutil
from pathlib import Path

import pytest
import runs
from ml_collections import ConfigDict

import configs
from memobert_jax import checkpoint, config, state
from memobert_jax.batch import Layout, Widths
from memobert_jax.config import DenseFaceConfig, EvaluateConfig, PretrainConfig
from memobert_jax.train import fill_model

GOLDEN = Path(__file__).parent / "golden"
NAMES = [module.name for module in pkgutil.iter_modules(configs.__path__)]
WIDTHS = Widths(face=1024, face_emotion=0, speech=480)


def module(name: str):
    return importlib.import_module(f"configs.{name}")


def resolved(name: str) -> PretrainConfig | EvaluateConfig | DenseFaceConfig:
    found = module(name).get_config()
    classes = {"fit": EvaluateConfig, "soft_labels": DenseFaceConfig, "steps": PretrainConfig}
    cls = next(cls for field, cls in classes.items() if field in found)
    return config.from_config_dict(cls, found)


PRETRAIN = [name for name in NAMES if isinstance(resolved(name), PretrainConfig)]


def test_there_are_configs():
    assert {"base", "pretrain_tiny"} <= set(PRETRAIN)


@pytest.mark.parametrize("name", NAMES)
def test_a_config_is_locked_and_its_resolved_form_comes_back_equal(name):
    found = module(name).get_config()
    assert isinstance(found, ConfigDict)
    assert found.is_locked
    cfg = resolved(name)
    assert config.from_mapping(type(cfg), json.loads(json.dumps(config.as_dict(cfg)))) == cfg


@pytest.mark.parametrize("name", NAMES)
def test_the_resolved_form_of_a_config_is_the_golden_one(name):
    path = GOLDEN / f"{name}.json"
    form = json.dumps(config.as_dict(resolved(name)), indent=1, sort_keys=True) + "\n"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(form, "utf-8")
    assert form == path.read_text("utf-8"), "meant? GOLDEN=write python -m pytest " + __file__


def test_every_golden_form_has_its_config():
    assert {path.stem for path in GOLDEN.iterdir()} == set(NAMES)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pretrain_paper", {"mlm": 0.4, "mfr": 0.2, "mfc": 0.2, "msr": 0.2}),
        ("pretrain_paper_no_speech", {"mlm": 0.5, "mfr": 0.25, "mfc": 0.25}),
        ("pretrain_paper_no_face", {"mlm": 2 / 3, "msr": 1 / 3}),
    ],
)
def test_the_paper_mixes_its_objectives_as_the_authors_did(name, expected):
    assert resolved(name).objectives.shares(8) == pytest.approx(expected)


def flat(values: dict, prefix: str = "") -> dict:
    out = {}
    for name, value in values.items():
        nested = isinstance(value, dict)
        out |= flat(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return out


@pytest.mark.parametrize(
    ("ablation", "changed"),
    [
        ("no_bert", {"init_from"}),
        ("no_face", {"data.max_face", "objectives.mfr", "objectives.mfc"}),
        ("no_speech", {"data.max_speech", "objectives.msr"}),
        ("single", {"masking.mode", "masking.face_ratio", "steps"}),
    ],
)
def test_an_ablation_changes_what_it_is_named_for_and_nothing_else(ablation, changed):
    paper, other = (
        flat(config.as_dict(resolved(name)))
        for name in ("pretrain_paper", f"pretrain_paper_{ablation}")
    )
    assert {name for name in paper if paper[name] != other[name]} == changed


def test_the_papers_recipe_does_not_run_without_the_start_that_it_asks_for():
    with pytest.raises(FileNotFoundError, match="no checkpoint at 'START'"):
        checkpoint.resolve(resolved("pretrain_paper").init_from)


def test_the_paper_takes_640_clips_a_step_each_in_a_row_of_its_own():
    cfg = resolved("pretrain_paper")
    assert (cfg.data.batch_rows, cfg.optim.accumulate, cfg.data.max_clips) == (640, 4, 1)
    assert cfg.data.row_width == cfg.data.max_text + cfg.data.max_face + cfg.data.max_speech
    assert (cfg.steps, cfg.optim.warmup_steps, cfg.optim.peak_lr) == (40_000, 4000, 5e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_config_starts_from_the_defaults_each_time(name):
    module(name).get_config().unlock().seed = 99
    again = module(name).get_config()
    assert "seed" not in again or again.seed != 99


@pytest.mark.parametrize("name", NAMES)
def test_a_config_is_a_notebook_entry_with_the_command(name):
    doc = inspect.getdoc(module(name))
    assert len(doc.splitlines()) >= 3
    assert f"--config=configs/{name}.py" in doc


@pytest.mark.parametrize("name", PRETRAIN)
def test_the_model_of_a_config_can_be_built(name):
    cfg = resolved(name)
    model = fill_model(cfg, runs.tokens(), WIDTHS)
    net = state.memobert(model)
    assert net.shapes["trunk"]["blocks"]["up"]["kernel"].shape == (
        model.layers,
        model.hidden,
        model.mlp,
    )
    layout = Layout.of(cfg.data, WIDTHS)
    assert all(layout.targets(name) > 0 for name in layout.objectives)


@pytest.mark.parametrize("name", PRETRAIN)
def test_the_schedule_of_a_config_fits_into_its_run(name):
    cfg = resolved(name)
    assert cfg.optim.warmup_steps < cfg.steps
    for field in ("log_every", "eval_every", "checkpoint_every"):
        assert getattr(cfg, field) <= cfg.steps, field
    assert cfg.checkpoint_every % cfg.log_every == 0, "a resumed run would log other windows"
