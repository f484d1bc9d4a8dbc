"""Weights of a front end: a safetensors file that the user supplies. Nothing is unpickled."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

_SHOWN = 6


def read(path: str | Path) -> tuple[dict[str, np.ndarray], str]:
    """(tensors by name, sha256 of the file) of a safetensors file.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is not whole, no safetensors file, or of numbers that NumPy has not.
    """
    import ml_dtypes  # noqa: F401  NumPy knows bfloat16 from then on
    import safetensors
    from safetensors import numpy

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}: give the path of a .safetensors file")
    try:
        tensors = numpy.load_file(path)
    except AttributeError as error:
        raise ValueError(
            f"{path} has tensors of a type that is not supported ({error}): save them as float32"
        ) from error
    except (safetensors.SafetensorError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path} ({path.stat().st_size} bytes) is no whole safetensors file: {error}. Copy or "
            "download it again."
        ) from error
    with path.open("rb") as file:
        return tensors, hashlib.file_digest(file, "sha256").hexdigest()


def checked(
    tensors: Mapping[str, np.ndarray], shapes: Mapping[str, Sequence[int]], path: str | Path
) -> dict[str, np.ndarray]:
    """The tensors named in `shapes`, as float32.

    Raises:
      ValueError: if one is missing, has another shape, or holds values that are not finite; names
        them.
    """
    missing = [name for name in shapes if name not in tensors]
    if missing:
        raise ValueError(
            f"{path} lacks {len(missing)} of {len(shapes)} tensors: {_some(missing)}. It holds "
            f"{len(tensors)}, such as {_some(sorted(tensors))}: give a checkpoint of this network"
        )
    other = [
        f"{name} {list(tensors[name].shape)} instead of {list(shape)}"
        for name, shape in shapes.items()
        if tensors[name].shape != tuple(shape)
    ]
    if other:
        raise ValueError(f"{path} has tensors of another shape: {_some(other)}")
    found = {name: np.asarray(tensors[name], np.float32) for name in shapes}
    broken = [name for name, values in found.items() if not np.isfinite(values).all()]
    if broken:
        raise ValueError(f"{path}: not all values are finite in {_some(broken)}; get it again")
    return found


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
