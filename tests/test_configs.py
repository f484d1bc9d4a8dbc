"""Every file of configs/ builds, resolves, and comes back the same from its checkpoint form."""

import importlib
import inspect
import json
import pkgutil

import pytest
import runs
from ml_collections import ConfigDict

import configs
from memobert_jax import config, state
from memobert_jax.batch import Layout, Widths
from memobert_jax.config import DenseFaceConfig, EvaluateConfig, PretrainConfig
from memobert_jax.train import fill_model

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
