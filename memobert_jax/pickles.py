"""Pickles of containers, scalars and NumPy arrays, read as data: nothing is imported or called.

A pickle is a program that may call anything. This module is the machine for the part of it that
published feature files need, of protocols 0 to 5, by Python 2 and 3, NumPy 1 and 2. The names that
a file may use are `ALLOWED`; what they mean is done here, by hand. `pickle.Unpickler` with another
`find_class` would not do: it still sets attributes on what it finds, believes what a dtype says of
itself, and clears as much memory as a five-byte instruction asks for.

Arrays are views of the file, read when they are touched, so that a file may be larger than memory.
"""

import math
import mmap
import pickletools
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ALLOWED = frozenset(
    {
        "numpy.ndarray",
        "numpy.dtype",
        "_codecs.encode",
        *(
            f"numpy.{core}.{name}"
            for core in ("core", "_core")
            for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")
        ),
    }
)
"""Every name that a pickle may use."""

_VIEWED_BYTES = 1 << 16
"""Bytes of at least this length stay in the file; as they are they can only become an array."""

_DTYPE = re.compile(r"b1|[iuf][1248]|O[48]?|[SU][1-9]\d{0,5}")
_KEYS = (str, bytes, int, float, bool, type(None))
_NEWEST = 5
_OTHER_FILES = {
    b"PK\x03\x04": "a zip archive (also what torch.save writes): unpack it",
    b"\x1f\x8b": "compressed by gzip: unpack it",
    b"\x89HDF": "an HDF5 file",
    b"version https://git-lfs": "the pointer of a Git LFS file: fetch the file itself",
    b"<": "a web page: fetch the file itself",
}


class _Refused(ValueError):  # noqa: N818 (it names the file's state)
    """Something in a pickle that is not read here."""


class _Name(str):
    """A name of ALLOWED, on its way to a call."""


class _Type:
    """A dtype in the making."""

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype


class _Array:
    """An array before its state, and the places in the memo that wait for it."""

    def __init__(self):
        self.keys: list[int] = []


class _Arguments(tuple):
    """A tuple with something in it that is no value."""


_NO_VALUES = (_Name, _Type, _Array, _Arguments, memoryview)


def load(path: str | Path) -> Any:
    """The value in a pickle file; its large arrays are views of the file.

    Raises:
      FileNotFoundError: without the file.
      ValueError: as `loads`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty; fetch it again")
    with path.open("rb") as file:
        return loads(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), str(path))


def loads(data: bytes | mmap.mmap, where: str = "the pickle") -> Any:
    """The value in a pickle.

    It is made of dict, list, tuple, set, frozenset, str, bytes, int, float, bool, None, NumPy
    arrays (read-only) and NumPy scalars. Strings of Python 2 are read as Latin-1.

    Args:
      data: the whole pickle.
      where: what an error calls it.

    Raises:
      ValueError: if it is no whole pickle, or holds anything else; the message names it. Nothing of
        it has run.
    """
    for start, kind in _OTHER_FILES.items():
        if data[: len(start)] == start:
            raise ValueError(f"{where} is no pickle, but {kind}")
    machine = _Machine(data)
    try:
        return machine.run()
    except _Refused as error:
        raise ValueError(f"{where}, byte {machine.step}: {error}") from None
    except (ArithmeticError, LookupError, TypeError, ValueError, struct.error) as error:
        raise ValueError(
            f"{where} is damaged, or no pickle (byte {machine.step}: {error}); fetch it again"
        ) from error


class _Machine:
    """A stack, marks on it, and the memo; `step` is where the current instruction starts."""

    def __init__(self, data: bytes | mmap.mmap):
        self.data, self.view = data, memoryview(data)
        self.at = self.step = 0
        self.stack: list = []
        self.below: list[list] = []
        self.memo: dict[int, Any] = {}
        self.copied = 0

    def run(self) -> Any:
        while True:
            self.step = self.at
            code = self.take(1)
            if code in _LITERALS:
                value = _LITERALS[code](self)
                self.stack.append(value)
            elif code in _INSTRUCTIONS:
                _INSTRUCTIONS[code](self)
            elif code == b".":
                return self.result()
            else:
                known = pickletools.code2op.get(code.decode("latin-1"))
                name = known.name if known else f"unknown instruction {code!r}"
                raise _Refused(f"{name} is not read; only plain values and arrays are")

    def result(self) -> Any:
        if self.at != len(self.data):
            raise _Refused(
                f"{len(self.data) - self.at} bytes follow the first pickle (torch.save can write "
                "such files); only a file of one plain pickle is read"
            )
        value = _value(self.stack.pop())
        if self.stack or self.below:
            raise ValueError("values are left over")
        return value

    # What stands in the file.

    def raw(self, size: int) -> memoryview:
        end = self.at + size
        if not self.at <= end <= len(self.data):
            raise ValueError(f"{size} bytes are announced, {len(self.data) - self.at} are left")
        part, self.at = self.view[self.at : end], end
        return part

    def take(self, size: int) -> bytes:
        return bytes(self.raw(size))

    def number(self, size: int) -> int:
        return int.from_bytes(self.raw(size), "little")

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise ValueError("the last line has no end")
        part, self.at = self.take(end - self.at), end + 1
        return part

    def buffer(self, size: int) -> bytes | memoryview:
        return self.raw(size) if size >= _VIEWED_BYTES else self.take(size)

    def text(self, size: int) -> str:
        return str(self.raw(size), "utf-8", "surrogatepass")

    def name(self, module: str, name: str) -> None:
        full = f"{module}.{name}"
        if full not in ALLOWED:
            raise _Refused(
                f"the pickle asks for {_shown(full)}, which could run anything; nothing of it was "
                "run. Only arrays and plain values are read"
            )
        self.stack.append(_Name(full))

    # The stack.

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def marked(self) -> list:
        items, self.stack = self.stack, self.below.pop()
        return items

    def last(self, count: int) -> list:
        if len(self.stack) < count:
            raise ValueError("the stack is empty")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def put(self, key: int) -> None:
        if isinstance(self.stack[-1], _Array):
            self.stack[-1].keys.append(key)
        self.memo[key] = self.stack[-1]

    def append(self, items: list) -> None:
        _expect(self.stack[-1], list).extend(map(_value, items))

    def add(self, items: list) -> None:
        _expect(self.stack[-1], set).update(map(_key, items))

    def update(self, items: list) -> None:
        target = _expect(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = _value(value)

    def new_dict(self) -> None:
        items = self.marked()
        self.stack.append({})
        self.update(items)

    # Arrays.

    def reduce(self) -> None:
        function, arguments = self.last(2)
        self.stack.append(self.call(_expect(function, _Name), _expect(arguments, tuple)))

    def call(self, name: str, arguments: tuple) -> Any:
        match name.rsplit(".", 1)[-1], *arguments:
            case "encode", str(text), "latin1" | "latin-1":
                return self.encoded(text)
            case "dtype", str(code), *_:
                if not _DTYPE.fullmatch(code):
                    raise _Refused(f"dtype {code[:20]!r}; only numbers, text and objects are read")
                return _Type(np.dtype("O" if code[0] == "O" else code))
            case "_reconstruct", _Name("numpy.ndarray"), *_:
                return _Array()
            case "scalar", _Type(dtype=dtype), data if dtype.kind != "O":
                self.spend(dtype.itemsize)
                return self.array(data, dtype, (1,), "C")[0]
            case "_frombuffer", data, _Type(dtype=dtype), tuple(shape), "C" | "F" as order:
                return self.array(data, dtype, shape, order)
        kinds = ", ".join(type(argument).__name__.strip("_") for argument in arguments)
        raise _Refused(f"the pickle calls {name} with ({kinds}), which no array does")

    def build(self) -> None:
        target, state = self.last(2)
        if isinstance(target, _Type):
            target.dtype = _with_state(target.dtype, _expect(state, tuple))
        elif isinstance(target, _Array):
            _, shape, kind, fortran, data = _expect(state, tuple)
            order = "F" if fortran else "C"
            array = self.array(data, _expect(kind, _Type).dtype, _expect(shape, tuple), order)
            self.memo.update(dict.fromkeys(target.keys, array))
            target = array
        else:
            raise _Refused(f"the pickle sets attributes of a {type(target).__name__}")
        self.stack.append(target)

    def array(self, data: Any, dtype: np.dtype, shape: tuple, order: str) -> np.ndarray:
        """An array of exactly as many bytes, or objects, as there are: a shape takes no memory."""
        if dtype.kind == "O":
            items, size = _expect(data, list), 1
        else:
            data = self.encoded(data) if isinstance(data, str) else data
            items, size = _expect(data, bytes, memoryview), dtype.itemsize
        if any(not 0 <= _expect(one, int) <= sys.maxsize for one in shape):
            raise ValueError("the shape of an array is out of range")
        if math.prod(shape) * size != len(items):
            raise ValueError(f"an array {shape} of {dtype} has {len(items)} bytes or objects")
        if dtype.kind != "O":
            array = np.ndarray(shape, dtype, items, order=order)
            if dtype.kind == "U":
                _check_characters(items, dtype)
            return array
        self.spend(len(items))
        array = np.fromiter(items, object, len(items)).reshape(shape, order=order)
        array.flags.writeable = False
        return array

    def encoded(self, text: str) -> bytes:
        self.spend(len(text))
        return text.encode("latin-1")

    def spend(self, size: int) -> None:
        """Counts what is copied, which in an honest file stands there once for each copy."""
        self.copied += size
        if self.copied > len(self.data):
            raise _Refused("the pickle copies the same bytes again and again")


def _shown(name: str) -> str:
    """A name from a pickle as it may be printed: no escape sequence reaches a terminal."""
    return name[:100].encode("unicode_escape").decode()


def _check_characters(items: bytes | memoryview, dtype: np.dtype) -> None:
    """Refuses an array of text with what is no character: NumPy would make strings of it in which
    Python itself fails."""
    codes = np.frombuffer(items, np.dtype(np.uint32).newbyteorder(dtype.byteorder))
    if codes.size and codes.max() > sys.maxunicode:
        raise _Refused("an array of text with something that is no character")


def _value(item: Any) -> Any:
    if isinstance(item, memoryview):
        raise _Refused(f"{len(item)} bytes that are no array; only shorter ones are read")
    if isinstance(item, _NO_VALUES):
        what = item if isinstance(item, _Name) else "something unfinished"
        raise _Refused(f"the pickle keeps {what}; only values and arrays are read")
    return item


def _key(item: Any) -> Any:
    if type(item) not in _KEYS:
        raise _Refused(f"a key is a {type(item).__name__}; only strings and numbers are read")
    return item


def _tuple(items: list) -> tuple:
    return (_Arguments if any(isinstance(i, _NO_VALUES) for i in items) else tuple)(items)


def _expect(item: Any, *kinds: type) -> Any:
    if not isinstance(item, kinds):
        name = kinds[0].__name__.strip("_")
        raise ValueError(f"{name} is expected, not {type(item).__name__}")
    return item


def _with_state(dtype: np.dtype, state: tuple) -> np.dtype:
    """A dtype with the byte order of its state (version, order, subtype, names, fields, ...)."""
    _, order, *structure = state[:5]
    if any(part is not None for part in structure):
        raise _Refused("an array of records; only arrays of numbers, text and objects are read")
    return dtype.newbyteorder(order) if order in ("<", ">") else dtype


def _protocol(machine: _Machine) -> None:
    version = machine.number(1)
    if version > _NEWEST:
        raise _Refused(f"protocol {version}; protocols 0 to {_NEWEST} are read")


def _decimal(line: bytes) -> int:
    return {b"00": False, b"01": True}[line] if line in (b"00", b"01") else int(line)


def _quoted(line: bytes) -> str:
    """A string of Python 2 as its repr, without evaluating it."""
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("a string without quotes")
    return line[1:-1].decode("unicode_escape")


def _long(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


_LITERALS: dict[bytes, Callable[[_Machine], Any]] = {
    b"N": lambda m: None,
    b"\x88": lambda m: True,
    b"\x89": lambda m: False,
    b"I": lambda m: _decimal(m.line()),
    b"L": lambda m: int(m.line().removesuffix(b"L")),
    b"J": lambda m: _long(m.take(4)),
    b"K": lambda m: m.number(1),
    b"M": lambda m: m.number(2),
    b"\x8a": lambda m: _long(m.take(m.number(1))),
    b"\x8b": lambda m: _long(m.take(m.number(4))),
    b"F": lambda m: float(m.line()),
    b"G": lambda m: struct.unpack(">d", m.take(8))[0],
    b"S": lambda m: _quoted(m.line()),
    b"T": lambda m: str(m.raw(m.number(4)), "latin-1"),
    b"U": lambda m: str(m.raw(m.number(1)), "latin-1"),
    b"V": lambda m: m.line().decode("raw-unicode-escape"),
    b"X": lambda m: m.text(m.number(4)),
    b"\x8c": lambda m: m.text(m.number(1)),
    b"\x8d": lambda m: m.text(m.number(8)),
    b"C": lambda m: m.buffer(m.number(1)),
    b"B": lambda m: m.buffer(m.number(4)),
    b"\x8e": lambda m: m.buffer(m.number(8)),
    b"\x96": lambda m: m.buffer(m.number(8)),
    b"]": lambda m: [],
    b"}": lambda m: {},
    b")": lambda m: (),
    b"\x8f": lambda m: set(),
    b"\x85": lambda m: _tuple(m.last(1)),
    b"\x86": lambda m: _tuple(m.last(2)),
    b"\x87": lambda m: _tuple(m.last(3)),
    b"t": lambda m: _tuple(m.marked()),
    b"l": lambda m: [_value(item) for item in m.marked()],
    b"\x91": lambda m: frozenset(map(_key, m.marked())),
    b"g": lambda m: m.memo[int(m.line())],
    b"h": lambda m: m.memo[m.number(1)],
    b"j": lambda m: m.memo[m.number(4)],
    b"2": lambda m: m.stack[-1],
}
"""Instructions that push one value."""

_INSTRUCTIONS: dict[bytes, Callable[[_Machine], Any]] = {
    b"\x80": _protocol,
    b"\x95": lambda m: m.raw(8),
    b"(": lambda m: m.mark(),
    b"0": lambda m: m.last(1),
    b"1": lambda m: m.marked(),
    b"a": lambda m: m.append(m.last(1)),
    b"e": lambda m: m.append(m.marked()),
    b"\x90": lambda m: m.add(m.marked()),
    b"s": lambda m: m.update(m.last(2)),
    b"u": lambda m: m.update(m.marked()),
    b"d": lambda m: m.new_dict(),
    b"p": lambda m: m.put(int(m.line())),
    b"q": lambda m: m.put(m.number(1)),
    b"r": lambda m: m.put(m.number(4)),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"c": lambda m: m.name(str(m.line(), "utf-8"), str(m.line(), "utf-8")),
    b"\x93": lambda m: m.name(*(_expect(part, str) for part in m.last(2))),
    b"R": lambda m: m.reduce(),
    b"b": lambda m: m.build(),
}
"""The other instructions. What stands in neither table is refused."""
