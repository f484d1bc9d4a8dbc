"""BERT weights in and out: the numbers of Hugging Face's BERT, exact round trips, bad folders.

fixtures/bert_tiny: random weights, inputs and outputs of BertForMaskedLM of transformers 5.23.
"""

import dataclasses
import json
import re
import shutil
import sys
from pathlib import Path

import evaluation_kit as kit
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import runs
import samples
from flax import nnx
from safetensors.numpy import load_file, save_file

from memobert_jax import (
    bert_folder,
    bert_names,
    checkpoint,
    import_bert,
    optim,
    sharding,
    state,
    tokenizer,
    train,
)
from memobert_jax.batch import Layout, View, Widths
from memobert_jax.collate import assemble
from memobert_jax.config import MeshConfig, ModelConfig
from memobert_jax.features import FeaturesDataset
from memobert_jax.masking import nothing_masked
from memobert_jax.packing import Limits
from memobert_jax.words import SPECIAL

FIXTURE = Path(__file__).parent / "fixtures" / "bert_tiny"
IO = np.load(FIXTURE / "io.npz")
BOUND = 1e-5
"""Largest difference from Hugging Face's float32; what is reached on CPU is 1.2e-6."""


def vocabulary(size: int = 120) -> list[str]:
    words = sorted({word for text in runs.TEXTS for word in text.split()})
    return [*SPECIAL, *words, *(f"word{i}" for i in range(size - len(SPECIAL) - len(words)))]


def bert(folder: Path, *, vocab: int = 120, change=lambda tensors: tensors, **config) -> Path:
    """A copy of the fixture as a whole BERT folder, changed."""
    shutil.copytree(FIXTURE, folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary(vocab)) + "\n")
    save_file(change(load_file(FIXTURE / "model.safetensors")), folder / "model.safetensors")
    if config:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return folder


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    return samples.dataset(tmp_path_factory.mktemp("features"), widths=runs.WITH_EMOTION)


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with runs.quick_compilation(tmp_path_factory.mktemp("xla")):
        yield


@pytest.fixture(scope="module")
def load(features):
    return lambda folder: import_bert.load(folder, FeaturesDataset(features, "train"), seed=7)


@pytest.fixture(scope="module")
def imported(tmp_path_factory, load):
    return load(bert(tmp_path_factory.mktemp("bert") / "tiny"))


def run(monkeypatch, *args) -> None:
    monkeypatch.setattr(sys, "argv", ["import_bert", *map(str, args)])
    import_bert.main()


def text_batch() -> dict[str, np.ndarray]:
    """The three sequences of the fixture as clips of one row."""
    nothing = {"face": np.zeros((0, 24)), "face_emotion": np.zeros((0, 4))}
    nothing |= {"speech": np.zeros((0, 20)), "face_mask": nothing_masked(0)}
    views = [
        View(ids=ids[:n], labels=ids[:n], speech_mask=nothing_masked(0), targets={}, **nothing)
        for ids, n in zip(IO["input_ids"], IO["attention_mask"].sum(1), strict=True)
    ]
    limits = Limits(width=40, caps=(40, 8, 8), max_clips=3)
    return assemble([views], Layout(limits, Widths(24, 4, 20), 1.0), 1)


def test_imported_weights_give_the_hidden_states_and_logits_of_hugging_face(imported):
    params, description, _ = jax.tree.map(jnp.asarray, imported[0]), *imported[1:]
    net = state.memobert(checkpoint.model_config(description))
    batch = text_batch()

    @jax.jit
    def forward(batch):
        model = nnx.merge(net.graphdef, params)
        hidden = [model.embed(batch)]
        for depth in (1, 2, 3):
            first = params | {"trunk": jax.tree.map(lambda x, n=depth: x[:n], params["trunk"])}
            hidden.append(nnx.merge(net.graphdef, first)(batch))
        return hidden, model.word_logits(hidden[-1], np.arange(40)[None])

    hidden, logits = jax.device_get(forward(batch))
    for clip, n in enumerate(IO["attention_mask"].sum(1)):
        own = batch["segment_ids"][0] == clip + 1
        assert own.sum() == n
        for layer in range(4):
            expected = IO["hidden_states"][layer, clip, :n]
            np.testing.assert_allclose(hidden[layer][0, own], expected, atol=BOUND)
        np.testing.assert_allclose(logits[0, own, :120], IO["logits"][clip, :n], atol=BOUND)


def test_what_a_bert_lacks_is_random_and_named(imported):
    params, description, found = imported
    assert found.random == [
        *("feat_regress", "img_embeddings", "pooler", "region_classifier"),
        *("speech_embeddings", "speech_feat_regress"),
    ]
    assert description["origin"] == {
        "folder": description["origin"]["folder"],
        "random": found.random,
        "seed": 7,
    }
    for part in (params["face"]["projection"], params["pooler"]["dense"]):
        assert part["kernel"].std() == pytest.approx(0.02, rel=0.2)


WEIGHTS = load_file(FIXTURE / "model.safetensors")
CONFIG = ModelConfig(
    vocab_size=120,
    face_dim=24,
    speech_dim=20,
    hidden=32,
    layers=3,
    heads=4,
    mlp=64,
    max_positions=40,
)


def sort(tensors: dict, pieces: int = 120) -> bert_folder.Found:
    cfg = dataclasses.replace(CONFIG, vocab_size=pieces)
    return bert_folder.sort(tensors, bert_names.places(cfg), pieces)


def assert_same_tensors(found: bert_folder.Found, atol: float = 0.0):
    expected = sort(WEIGHTS).tensors
    assert found.tensors.keys() == expected.keys()
    for name, tensor in found.tensors.items():
        assert tensor.dtype == np.float32
        np.testing.assert_allclose(tensor, expected[name], atol=atol, rtol=0)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name.removeprefix("bert."),
        lambda name: name.replace("bert.", "uniter."),
        lambda name: name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"),
    ],
    ids=["no prefix", "uniter", "gamma and beta"],
)
def test_other_names_of_the_same_tensors_are_understood(rename):
    renamed = {rename(name): tensor for name, tensor in WEIGHTS.items()}
    assert renamed.keys() != WEIGHTS.keys()
    assert_same_tensors(sort(renamed))


@pytest.mark.parametrize("more", [(), ("classifier.weight", "classifier.bias")])
def test_a_bert_without_the_head_of_masked_words_is_imported_and_that_is_said(more):
    """BertModel, and BertForSequenceClassification."""
    bare = {name: tensor for name, tensor in WEIGHTS.items() if not name.startswith("cls.")}
    found = sort(bare | {name: np.zeros(2, np.float32) for name in more})
    assert "cls" in found.random
    assert found.left_out == sorted(more)
    assert found.tensors.keys() == {n for n in sort(WEIGHTS).tensors if not n.startswith("cls.")}


def test_a_part_of_the_head_of_masked_words_is_refused_by_what_is_missing():
    name = "cls.predictions.transform.dense.weight"
    with pytest.raises(ValueError, match=f"1 tensors are missing: {re.escape(name)}"):
        sort({n: tensor for n, tensor in WEIGHTS.items() if n != name})


def test_tied_copies_are_expected_and_heads_without_a_place_named():
    tensors = dict(WEIGHTS)
    word = tensors["bert.embeddings.word_embeddings.weight"]
    tensors["cls.predictions.decoder.weight"] = word.copy()
    tensors["cls.predictions.decoder.bias"] = tensors.pop("cls.predictions.bias")
    tensors["cls.seq_relationship.bias"] = np.zeros(2, np.float32)
    tensors["bert.embeddings.position_ids"] = np.arange(40)[None]
    found = sort(tensors)
    assert_same_tensors(found)
    assert found.left_out == ["cls.seq_relationship.bias", "embeddings.position_ids"]


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16])
def test_half_precision_is_widened(dtype, tmp_path):
    half = {name: tensor.astype(dtype) for name, tensor in WEIGHTS.items()}
    save_file(half, tmp_path / "model.safetensors")
    assert_same_tensors(sort(bert_folder.read_tensors(tmp_path)), atol=0.01)


def test_tensors_of_a_type_that_numpy_has_not_are_refused_by_the_type(tmp_path):
    header = json.dumps({"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(2))
    with pytest.raises(ValueError, match=r"of a type that .*float8_e4m3fn.*save them as float32"):
        bert_folder.read_tensors(tmp_path)


def test_rows_beyond_the_vocabulary_are_left_out_and_counted():
    found = sort(WEIGHTS, 117)
    assert found.surplus == 3
    rows = WEIGHTS["bert.embeddings.word_embeddings.weight"][:117]
    np.testing.assert_array_equal(found.tensors["embeddings.word_embeddings.weight"], rows)
    assert found.tensors["cls.predictions.bias"].shape == (117,)


def test_a_folder_goes_through_a_checkpoint_and_comes_out_equal(
    tmp_path, features, monkeypatch, capsys
):
    folder, middle, back = bert(tmp_path / "x"), tmp_path / "ckpt", tmp_path / "back"
    run(monkeypatch, f"--input={folder}", f"--features={features}", f"--output={middle}")
    run(monkeypatch, "--export", f"--input={middle}", f"--output={back}")
    before, after = (load_file(path / "model.safetensors") for path in (folder, back))
    assert set(after) - set(before) == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert before.keys() <= after.keys()
    for name, tensor in before.items():
        np.testing.assert_array_equal(after[name], tensor, err_msg=name)
    assert tokenizer.load(back).fingerprint == tokenizer.load(folder).fingerprint
    config, expected = (json.loads((path / "config.json").read_text()) for path in (back, folder))
    assert {key: config[key] for key in config.keys() & expected.keys()}.items() <= expected.items()
    shown = capsys.readouterr().out
    assert "58 tensors: 3 layers of width 32, 120 word pieces" in shown
    assert "random, because the folder lacks them: feat_regress, img_embeddings" in shown
    assert "left out, no part of a BERT: feat_regress, img_embeddings" in shown


def test_a_checkpoint_of_ours_goes_out_as_a_bert_and_comes_back_equal(
    tmp_path, features, monkeypatch
):
    params = kit.params(3)
    work = kit.save(tmp_path / "work", params, features)
    description = checkpoint.metadata(checkpoint.resolve(work))
    out, again = tmp_path / "out", tmp_path / "again"
    run(monkeypatch, "--export", f"--input={work}", f"--output={out}")
    cfg = checkpoint.model_config(description)
    fields = bert_folder.read_config(out)
    assert dataclasses.replace(cfg, **fields) == cfg
    assert tokenizer.load(out).fingerprint == kit.tokens().fingerprint
    table = bert_names.places(cfg)
    found = bert_folder.sort(bert_folder.read_tensors(out), table, cfg.vocab_size)
    assert (found.left_out, found.surplus) == ([], 0)
    back = jax.tree.map(np.copy, kit.params(4))
    bert_names.put(back, found.tensors, table)
    checkpoint.save_params(tmp_path / "ckpt", back, description)
    run(monkeypatch, "--export", f"--input={tmp_path / 'ckpt'}", f"--output={again}")
    for name in ("model.safetensors", "config.json", "tokenizer.model"):
        assert (again / name).read_bytes() == (out / name).read_bytes()
    for tree in (back, params):
        tree["text"]["word"] = tree["text"]["word"][: cfg.vocab_size]
        tree["mlm_head"]["bias"] = tree["mlm_head"]["bias"][: cfg.vocab_size]
    for part in ("text", "trunk", "pooler", "mlm_head"):
        jax.tree.map(np.testing.assert_array_equal, back[part], params[part])


@pytest.fixture(scope="module")
def start(tmp_path_factory, imported):
    """A checkpoint of the imported weights."""
    path = tmp_path_factory.mktemp("start") / "checkpoint"
    checkpoint.save_params(path, imported[0], imported[1])
    return path


def first_state(workdir: Path, start: Path, imported, tokens=None, **model) -> state.TrainState:
    """The state that a pre-training from `start` begins with, on all devices."""
    own = dataclasses.replace(checkpoint.model_config(imported[1]), **model)
    cfg = dataclasses.replace(runs.config(), init_from=str(start), model=own)
    tokens = tokens or checkpoint.tokenizer_of(imported[1])
    net, tx = state.memobert(own), optim.make_optimizer(cfg.optim)
    shardings = state.state_shardings(net, tx, sharding.make_mesh(MeshConfig(2, 2, 2)))
    description = checkpoint.describe(own, tokens, imported[1], [], cfg, kind="pretrain")
    with checkpoint.Checkpoints(workdir, 1, 1, description) as checkpoints:
        return train.first_state(cfg, net, tx, shardings, checkpoints)


def test_pre_training_starts_from_the_imported_weights_sharded(start, imported, tmp_path):
    state = first_state(tmp_path, start, imported, dropout=0.0, remat="full", dtype="bfloat16")
    assert int(state.step) == 0
    assert not state.params["text"]["word"].sharding.is_fully_replicated
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state.params), imported[0])


def test_a_network_of_another_size_than_the_bert_is_refused_by_the_sizes(start, imported, tmp_path):
    message = r"init_from = .*: its model differs.*\n  checkpoint: {\"hidden\": 32}\n.*: 16}\nUse"
    with pytest.raises(ValueError, match=message):
        first_state(tmp_path, start, imported, hidden=16)


def test_another_tokenizer_than_that_of_the_bert_is_refused_by_name(start, imported, tmp_path):
    message = r"its tokenizer differs.*\n  checkpoint: \"WordPiece of 120 .*\n.*\"SentencePiece of"
    with pytest.raises(ValueError, match=message):
        first_state(tmp_path, start, imported, runs.tokens())


def drop(*names):
    return lambda tensors: {name: v for name, v in tensors.items() if name not in names}


BIAS = "bert.encoder.layer.1.output.dense.bias"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"hidden_size": 64},
            r"54 tensors have another shape than config.*embeddings.* \(120, 32\), expected",
        ),
        ({"num_hidden_layers": 4}, r"16 tensors are missing: encoder\.layer\.3\.attention"),
        ({"num_hidden_layers": 2}, r"16 tensors are unknown: encoder\.layer\.2\."),
        ({"change": drop(BIAS)}, r"1 tensors are missing: encoder\.layer\.1\.output\.dense\.bias"),
        ({"change": lambda t: t | {"bert.odd": np.zeros(1)}}, "1 tensors are unknown: odd"),
        ({"change": lambda t: t | {"odd": np.zeros(1), "bert.odd": np.zeros(1)}}, "two names"),
        (
            {"change": lambda t: t | {"cls.predictions.decoder.bias": np.ones(120, np.float32)}},
            r"decoder\.bias differs from cls\.predictions\.bias",
        ),
        (
            {"change": lambda t: t | {BIAS: np.full(32, np.inf, np.float32)}},
            r"1 tensors have values that are not finite: encoder\.layer\.1\.output\.dense\.bias;",
        ),
        ({"vocab": 121}, "the vocabulary has 121 pieces, but .* only 120 rows"),
        ({"hidden_act": "relu"}, r"config\.json: hidden_act = 'relu'; the network takes only"),
        ({"model_type": "roberta"}, "model_type = 'roberta'"),
        ({"hidden_size": "wide"}, "hidden = 'wide'; expected int"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(load, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        load(bert(tmp_path / "x", **changes))


def test_a_vocabulary_without_the_mask_piece_is_refused(load, tmp_path):
    folder = bert(tmp_path / "x")
    pieces = [piece for piece in vocabulary() if piece != "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join(pieces))
    with pytest.raises(ValueError, match=r"vocab\.txt: .* lacks \[MASK\]"):
        load(folder)


@pytest.mark.parametrize("keep", [0, 7, 3000, -4])
def test_a_truncated_file_is_refused_by_name(load, tmp_path, keep):
    path = bert(tmp_path / "x") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
        load(path.parent)


def test_a_pickle_is_never_read(load, tmp_path):
    folder = bert(tmp_path / "x")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin, a pickle.*convert it to model\.saf"):
        load(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
def test_a_folder_without_one_of_its_files_is_refused_by_what_is_missing(load, tmp_path, name):
    folder = bert(tmp_path / "x")
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=r"no .* in .*x: expected"):
        load(folder)


def test_no_folder_at_all_is_refused(load, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder '.*nowhere'"):
        load(tmp_path / "nowhere")


def test_a_folder_with_files_is_never_written_over(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("everything")
    for more in (["--features=x"], ["--export"]):
        with pytest.raises(SystemExit):
            run(monkeypatch, "--input=x", f"--output={tmp_path / 'mine'}", *more)
        assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "everything"


def test_a_fitted_head_is_not_exported(tmp_path, features):
    work = kit.save(tmp_path / "work", {"x": np.zeros(1)}, features, kind="head")
    with pytest.raises(ValueError, match="is a fitted head"):
        import_bert.export(work, tmp_path / "out")
