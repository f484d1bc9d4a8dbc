"""pickles: what honest files hold comes out as pickle gives it; whatever could run is refused."""

import os
import pickle
import random
import struct

import numpy as np
import pytest

from memobert_jax import pickles

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
VALUES = {
    "scalars": [None, True, False, 0, 255, 65_536, -(2**31), 2**100, -(2**2100), 1.5, float("inf")],
    "text": ["", "sp", "é\n\\u1234'\x1a", "x" * 70_000, b"", b"\xff\x00" * 9],
    "containers": {"a": [1, [2, []]], "b": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)), 3: {}},
    "numbers": [np.arange(6.0).reshape(2, 3), np.array([True]), np.arange(3, dtype=">i2")],
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "strings": [np.array(["ab", "ü"]), np.array([b"x", b"yz"])],
    "objects": np.array([["a", None], [1, {"b": [2.5]}]], object),
    "one number": [np.float32(2.5), np.int64(3), np.bool_(True), np.str_("hi")],
    "large": np.arange(50_000.0),
    "shared": [np.zeros(2)] * 3,
}


def same(a, b) -> bool:
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and same(a.tolist(), b.tolist())
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", VALUES)
def test_what_is_read_is_what_pickle_reads(name, protocol):
    value = VALUES[name]
    if name == "text" and protocol < 3:
        value = [text for text in value if text != b""]  # pickled by a call of `bytes`
    data = pickle.dumps(value, protocol)
    assert same(pickles.loads(data), value)


@pytest.mark.parametrize("protocol", [4, 5])
def test_sets_are_read(protocol):
    value = [{1, "a"}, frozenset({2.5})]
    assert pickles.loads(pickle.dumps(value, protocol)) == value


def test_numpy_1_and_numpy_2_wrote_the_same_array():
    array = np.arange(4.0)
    for protocol in (2, 4):
        new = pickle.dumps(array, protocol)
        assert b"numpy._core" in new
        name = b"numpy._core.multiarray"
        old = new.replace(name, b"numpy.core.multiarray")
        old = old.replace(
            bytes([len(name)]) + b"numpy.core", bytes([len(name) - 1]) + b"numpy.core"
        )
        if protocol == 4:  # the frame is a byte shorter
            old = old[:3] + struct.pack("<Q", struct.unpack("<Q", new[3:11])[0] - 1) + old[11:]
        assert same(pickles.loads(old), array)


RAW = np.array([1.5, -2.0, np.pi]).tobytes()
PYTHON_2_TEXT = (
    b"cnumpy.core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nS'b'\np3\ntp4\nRp5\n"
    b"(I1\n(I3\ntp6\ncnumpy\ndtype\np7\n(S'f8'\np8\nI0\nI1\ntp9\nRp10\n(I3\nS'<'\np11\nNNNI-1\nI-1\n"
    b"I0\ntp12\nbI00\nS'%s'\np13\ntp14\nb."
) % repr(RAW)[2:-1].encode()
PYTHON_2_BINARY = (
    b"\x80\x02}q\x00U\x04textq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00"
    b"\x85U\x01b\x87Rq\x04(K\x01K\x03\x85cnumpy\ndtype\nq\x05U\x02f8K\x00K\x01\x87R(K\x03U\x01<NNN"
    b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T%s%stbs."
) % (struct.pack("<I", len(RAW)), RAW)


def test_python_2_wrote_arrays_as_latin_1_strings():
    expected = pickle.loads(PYTHON_2_TEXT, encoding="latin1")
    np.testing.assert_array_equal(pickles.loads(PYTHON_2_TEXT), expected)
    found = pickles.loads(PYTHON_2_BINARY)
    np.testing.assert_array_equal(found["text"], [1.5, -2.0, np.pi])
    assert pickles.loads(b"S'caf\\xe9 \\'x\\''\np0\n.") == "café 'x'"


def test_an_array_shared_through_the_memo_stays_an_array():
    array = np.array([{"a": 1}], object)
    found = pickles.loads(pickle.dumps({"a": array, "b": array}, 2))
    assert found["a"] is found["b"]
    assert isinstance(found["b"], np.ndarray)


def test_arrays_cannot_be_written_to():
    for value in (np.zeros(2), np.zeros(20_000), np.array([None], object)):
        array = pickles.loads(pickle.dumps(value))
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_pt_file_that_is_a_plain_pickle_is_read(tmp_path):
    words = {"anger": [0.5] * 300, "happy": [0.25] * 300}
    (tmp_path / "glove.pt").write_bytes(pickle.dumps(words))
    assert pickles.load(tmp_path / "glove.pt") == words


class Call:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (lambda mark: Call(os.system, f"touch {mark}"), r"(posix|os|nt)\.system"),
        (lambda mark: Call(eval, f"open({mark!r}, 'w')"), r"(builtins|__builtin__)\.eval"),
        (lambda mark: Call(exec, f"open({mark!r}, 'w')"), r"(builtins|__builtin__)\.exec"),
        (lambda mark: Call(getattr, Call(__import__, "os"), "x"), r"builtin(s|__)\.getattr"),
        (lambda mark: [1, {"a": Call(open, mark, "w")}], r"io\.open"),
        (lambda mark: np.array([Call(os.mkdir, mark)], object), r"(posix|os|nt)\.mkdir"),
        (lambda mark: {"a": np.zeros(2), "b": Call(np.save, mark, 1)}, r"numpy.*\.save"),
        (lambda mark: Call(list, Call(map, os.mkdir, [mark])), r"(builtins|__builtin__)\.list"),
        (lambda mark: np.ma.zeros(2), r"numpy\.ma"),
        (lambda mark: np.random.default_rng(0), r"numpy\.random"),
        (lambda mark: {1 + 2j}, r"builtins|__builtin__"),
    ],
)  # fmt: skip
def test_a_pickle_that_calls_anything_is_refused_by_name_before_it_runs(
    attack, name, protocol, tmp_path
):
    mark = tmp_path / "it ran"
    data = pickle.dumps(attack(str(mark)), protocol)
    with pytest.raises(ValueError, match=f"{name}|complex"):
        pickles.loads(data)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"(S'touch x'\nios\nsystem\n.", "INST is not read"),
        (b"(cos\nsystem\nS'touch x'\no.", r"os\.system"),
        (b"(cnumpy\nndarray\n(I9\nto.", "OBJ is not read"),
        (b"\x80\x02cnumpy\nndarray\nK\x09\x85\x81.", "NEWOBJ is not read"),
        (b"\x80\x04cnumpy\nndarray\n)}\x92.", "NEWOBJ_EX is not read"),
        (b"cnumpy\nndarray\n(I9\ntR.", "calls numpy.ndarray with"),
        (b"Pos.system\n.", "PERSID is not read"),
        (b"\x80\x02\x82\x01.", "EXT1 is not read"),
        (b"\x80\x05\x97.", "NEXT_BUFFER is not read"),
        (b"cnumpy\nndarray\n.", "keeps numpy.ndarray"),
        (b"]cnumpy\nndarray\na.", "keeps numpy.ndarray"),
        (b"](cnumpy\nndarray\nta.", "keeps something unfinished"),
        (b"c_codecs\nencode\n(S'x'\nS'zip'\ntR.", "calls _codecs.encode with"),
        (b"c_codecs\nencode\n(dS'__doc__'\nS'x'\nsb.", "sets attributes of a _Name"),
        (b"]}S'a'\nI1\nsb.", "sets attributes of a list"),
        (b"cnumpy\ndtype\n(S'V8'\nI0\nI1\ntR.", "dtype 'V8'"),
        (b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'|'\nN(S'a'\ntNI-1\nI-1\nI0\ntb.", "records"),
        (b"\x80\x09N.", "protocol 9"),
        (b"}]N.", "values are left over"),
        (b"}(](I1\nus.", "is damaged"),
        (b"}]I1\ns.", "a key is a list"),
        (b"N.N.", "2 bytes follow the first pickle"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"\x1f\x8brest", "compressed by gzip"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of a Git LFS file"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"", "no pickle"),
        (b"hello", "no pickle"),
    ],
)  # fmt: skip
def test_an_instruction_that_no_feature_file_needs_is_refused_by_name(data, message):
    with pytest.raises(ValueError, match=message):
        pickles.loads(data)


def test_an_array_of_what_is_no_text_is_refused():
    """NumPy makes strings of any four bytes, and Python then fails in `split` and `join`."""
    for order in "<>":
        data = pickle.dumps(np.array(["ab", "cd"], f"{order}U2"), 4)
        a = np.array("a", f"{order}U1").tobytes()
        assert a in data
        assert pickles.loads(data).tolist() == ["ab", "cd"]
        with pytest.raises(ValueError, match="something that is no character"):
            pickles.loads(data.replace(a, b"\xff\x7f\xff\x7f"))


def test_a_name_that_would_write_to_the_terminal_is_shown_as_text():
    with pytest.raises(ValueError, match=r"asks for \\x1b\[2Jos\.system, which"):
        pickles.loads(b"c\x1b[2Jos\nsystem\n.")


def test_a_dtype_cannot_pass_bytes_off_as_objects():
    """With `pickle`, flags that deny the objects of a record make NumPy follow the bytes."""
    for kind in (b"O8", b"O"):
        data = PYTHON_2_TEXT.replace(b"S'f8'", b"S'" + kind + b"'")
        with pytest.raises(ValueError, match="list is expected, not str"):
            pickles.loads(data)


def test_an_array_of_another_size_than_its_bytes_is_refused():
    for shape in (b"I4\n", b"I-3\n", b"I1000000000000\n", b"I0\n"):
        data = PYTHON_2_TEXT.replace(b"(I1\n(I3\n", b"(I1\n(" + shape)
        with pytest.raises(ValueError, match="is damaged"):
            pickles.loads(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 10**12) + b"x.",
        b"\x80\x05\x96" + struct.pack("<Q", 2**63) + b"x.",
        b"\x80\x02X" + struct.pack("<I", 2**31) + b"x.",
        b"\x80\x02\x8b" + struct.pack("<I", 2**31) + b"x.",
        b"I" + b"9" * 10_000 + b"\n.",
    ],
    ids=["BINBYTES8", "BYTEARRAY8", "BINUNICODE", "LONG4", "INT"],
)
def test_a_size_that_the_file_does_not_have_takes_no_memory(data):
    with pytest.raises(ValueError, match="damaged"):
        pickles.loads(data)


def test_a_place_far_out_in_the_memo_takes_no_memory():
    assert pickles.loads(b"\x80\x02Nr\xff\xff\xff\xff.") is None


@pytest.mark.parametrize(
    "again",
    [
        b"c_codecs\nencode\n(g0\nS'latin1'\ntRa",
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'S1000'\nI0\nI1\ntRg0\ntRa",
    ],
)
def test_the_same_bytes_copied_over_and_over_are_refused(again):
    data = b"S'" + b"x" * 1000 + b"'\np0\n0]" + again * 200 + b"."
    with pytest.raises(ValueError, match="again and again"):
        pickles.loads(data)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_truncated_file_is_said_to_be_damaged(protocol):
    data = pickle.dumps({"a": np.arange(30.0), "b": ["x", 1.5, "y" * 300], "c": 2**70}, protocol)
    for end in range(1, len(data)):
        with pytest.raises(ValueError, match="the pickle"):
            pickles.loads(data[:end])


def test_damage_anywhere_gives_plain_values_or_one_kind_of_error():
    rng = random.Random(0)
    plain = (dict, list, tuple, set, frozenset, str, bytes, int, float, type(None), np.generic)
    for _ in range(3000):
        value = {"a": np.arange(3.0), "b": np.array(["x", None], object), "c": [1, (2, "z")]}
        data = bytearray(pickle.dumps(value, rng.choice(PROTOCOLS)))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.choice([rng.randrange(256), *b"RbctpoiN.()}]"])
        try:
            found = pickles.loads(bytes(data))
        except ValueError:
            continue
        todo = [found]
        while todo:
            item = todo.pop()
            assert isinstance(item, (*plain, np.ndarray))
            todo += item.values() if isinstance(item, dict) else []
            todo += item if isinstance(item, list | tuple) else []
            todo += item.ravel().tolist() if isinstance(item, np.ndarray) else []


def test_a_large_array_is_a_view_of_its_file_and_damage_names_the_file(tmp_path):
    array = np.random.default_rng(0).random(50_000)
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"audio": array}))
    found = pickles.load(path)["audio"]
    np.testing.assert_array_equal(found, array)
    assert not found.flags.owndata
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"x\.pkl is damaged"):
        pickles.load(path)


def test_a_missing_or_empty_file_is_named(tmp_path):
    (tmp_path / "empty.pkl").touch()
    with pytest.raises(ValueError, match=r"empty\.pkl is empty"):
        pickles.load(tmp_path / "empty.pkl")
    with pytest.raises(FileNotFoundError, match=r"no file .*nothing\.pkl"):
        pickles.load(tmp_path / "nothing.pkl")
