"""The configuration: declared once, checked on every way in."""

import dataclasses
import inspect
import json
import sys

import pytest
from absl import flags
from ml_collections import config_flags

from memobert_jax import config

CONFIGS = [
    cls
    for name, cls in inspect.getmembers(config, dataclasses.is_dataclass)
    if name.endswith("Config")
]


def parsed(monkeypatch, tmp_path, *overrides: str) -> config.PretrainConfig:
    """What a program gets from `--config=FILE` and the given overrides."""
    path = tmp_path / "some_config.py"
    path.write_text(
        "from memobert_jax import config\n"
        "def get_config():\n"
        "  return config.as_config_dict(config.PretrainConfig())\n"
    )
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values)
    monkeypatch.setattr(sys, "argv", ["program", f"--config={path}", *overrides])
    values(sys.argv)
    return config.from_config_dict(config.PretrainConfig, values.config)


@pytest.mark.parametrize("cls", CONFIGS)
def test_every_config_comes_back_equal_from_a_config_dict(cls):
    assert config.from_config_dict(cls, config.as_config_dict(cls())) == cls()


@pytest.mark.parametrize("cls", CONFIGS)
def test_every_config_comes_back_equal_from_json(cls):
    assert config.from_mapping(cls, json.loads(json.dumps(config.as_dict(cls())))) == cls()


@pytest.mark.parametrize("cls", CONFIGS)
def test_every_field_has_words_and_a_default_that_passes_its_check(cls):
    for field in dataclasses.fields(cls):
        assert field.metadata["doc"], f"{cls.__name__}.{field.name} has no words"
        check = field.metadata["check"]
        assert check is None or check.passes(getattr(cls(), field.name)), field.name


@pytest.mark.parametrize("cls", CONFIGS)
def test_a_config_cannot_be_changed_in_place(cls):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(cls(), dataclasses.fields(cls)[0].name, None)


def test_a_config_dict_is_locked_against_new_fields():
    with pytest.raises(AttributeError, match="peek_lr"):
        config.as_config_dict(config.PretrainConfig()).optim.peek_lr = 1.0


def test_an_unknown_field_names_the_nearest_one_with_its_path():
    with pytest.raises(ValueError, match=r"'peek_lr'; did you mean optim\.'peak_lr'"):
        config.from_mapping(config.PretrainConfig, {"optim": {"peek_lr": 1e-4}})


def test_an_unknown_field_without_a_near_one_lists_the_fields():
    with pytest.raises(ValueError, match=r"'zzz'; fields: .*'fsdp'"):
        config.from_mapping(config.MeshConfig, {"zzz": 1})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": "7"}, r"steps = '7'; expected int"),
        ({"steps": 7.0}, r"steps = 7\.0; expected int"),
        ({"steps": True}, r"steps = True; expected int"),
        ({"tokenizer": 3}, r"tokenizer = 3; expected str"),
        ({"data": {"skip_corrupt": 1}}, r"data\.skip_corrupt = 1; expected bool"),
        ({"model": {"dropout": "0.1"}}, r"model\.dropout = '0\.1'; expected float"),
        ({"data": {"sources": "corpus"}}, r"data\.sources = 'corpus'; expected a tuple"),
        ({"data": {"sources": (("corpus",),)}}, r"data\.sources = \('corpus',\); expected 2"),
        ({"data": {"sources": ((1.0, 1.0),)}}, r"data\.sources = 1\.0; expected str"),
    ],
)
def test_a_value_of_another_type_is_refused_by_field_and_value(values, message):
    with pytest.raises(ValueError, match=message):
        config.from_mapping(config.PretrainConfig, values)


@pytest.mark.parametrize(
    ("cls", "values", "message"),
    [
        (config.PretrainConfig, {"steps": 0}, r"steps = 0; expected a number above 0"),
        (config.PretrainConfig, {"seed": -1}, r"seed = -1; expected a number of at least 0"),
        (config.MaskingConfig, {"face_ratio": 1.5}, r"expected a number from 0 to 1"),
        (config.MaskingConfig, {"mode": "bert"}, r"expected one of default, paper, head"),
        (config.ModelConfig, {"remat": "all"}, r"remat = 'all'; expected one of none, dots, full"),
        (config.EvaluateConfig, {"subsets": ("TV",)}, r"expected a selection from T, F, S"),
        (config.EvaluateConfig, {"seeds": ()}, r"expected at least one entry"),
    ],
)
def test_a_value_that_fails_its_check_says_what_was_expected(cls, values, message):
    with pytest.raises(ValueError, match=message):
        config.from_mapping(cls, values)


@pytest.mark.parametrize(
    ("cls", "values", "message"),
    [
        (config.ModelConfig, {"hidden": 10, "heads": 3}, "not divisible"),
        (config.DataConfig, {"max_face": 200}, r"data\.max_face = 200 exceeds data\.face_cap"),
        (config.DataConfig, {"row_width": 64}, "raise row_width or lower a maximum"),
        (config.PromptConfig, {"label_words": ("sad",)}, "one word for each class"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(cls, values, message):
    with pytest.raises(ValueError, match=message):
        config.from_mapping(cls, values)


def test_whole_numbers_become_floats_where_a_float_is_declared():
    optim = config.from_mapping(config.OptimConfig, {"peak_lr": 1})
    assert isinstance(optim.peak_lr, float)


def test_lists_become_tuples_down_to_the_inner_pairs():
    data = config.from_mapping(config.DataConfig, {"sources": [["a", 1], ["b", 0.5]]})
    assert data.sources == (("a", 1.0), ("b", 0.5))


def test_the_fingerprint_depends_on_the_values_alone():
    same = config.from_mapping(config.ExtractConfig, config.as_dict(config.ExtractConfig()))
    other = dataclasses.replace(same, min_face_px=25)
    assert config.fingerprint(same) == config.fingerprint(config.ExtractConfig())
    assert config.fingerprint(other) != config.fingerprint(same)


def test_the_command_line_overrides_single_fields(monkeypatch, tmp_path):
    overrides = ("--config.optim.peak_lr=1", "--config.steps=7", "--config.model.remat=full")
    cfg = parsed(monkeypatch, tmp_path, *overrides)
    assert (cfg.optim.peak_lr, cfg.steps, cfg.model.remat) == (1.0, 7, "full")
    assert cfg.optim.warmup_steps == config.OptimConfig().warmup_steps


def test_the_command_line_gives_pairs_of_source_and_weight(monkeypatch, tmp_path):
    cfg = parsed(monkeypatch, tmp_path, '--config.data.sources=(("a", 1), ("b", 0.5))')
    assert cfg.data.sources == (("a", 1.0), ("b", 0.5))


def test_the_command_line_refuses_an_unknown_field_with_the_nearest_one(monkeypatch, tmp_path):
    with pytest.raises(AttributeError, match="peak_lr"):
        parsed(monkeypatch, tmp_path, "--config.optim.peek_lr=1")


def test_the_command_line_refuses_a_value_that_fails_its_check(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="steps = 0; expected a number above 0"):
        parsed(monkeypatch, tmp_path, "--config.steps=0")


def test_a_difference_is_named_by_its_path_whatever_the_json_made_of_it():
    before = config.PretrainConfig(data=config.DataConfig(sources=(("a", 1.0),)))
    after = dataclasses.replace(
        before,
        steps=10,
        log_every=1,
        mesh=config.MeshConfig(fsdp=2),
        data=dataclasses.replace(before.data, sources=(("b", 1.0),), row_width=512),
    )
    stored = json.loads(json.dumps(config.as_dict(before)))
    found = config.differences(config.PretrainConfig, stored, config.as_dict(after))
    assert found == {"steps": (40_000, 10), "data.row_width": (256, 512)}
    assert not config.differences(config.PretrainConfig, stored, config.as_dict(before))


def test_a_field_that_an_older_run_did_not_have_counts_as_its_default():
    before = config.as_dict(config.PretrainConfig())
    del before["optim"]
    after = config.as_dict(config.PretrainConfig(optim=config.OptimConfig(b1=0.8)))
    found = config.differences(config.PretrainConfig, before, after)
    assert found == {"optim.b1": (0.9, 0.8)}
