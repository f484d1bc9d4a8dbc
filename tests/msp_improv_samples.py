"""A small MSP-IMPROV release, with the names, trees and evaluation file of the real one."""

from collections.abc import Sequence
from pathlib import Path

MAC = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        \xff\xfe\x80"
"""What a Mac writes beside a file, under ._NAME."""

TURNS = (
    ("S01A-F01-S-FM01", "N", "3.000000", "3.500000", "3.000000"),
    ("S01A-M01-S-FM01", "A", "2.250000", "1.750000", "NaN"),
    ("S01A-F01-T-FM01", "A", "1.800000", "1.600000", "2.333333"),
    ("S01A-F01-R-FF01", "S", "3.333333", "2.333333", "3.000000"),
    ("S08H-M02-P-MF03", "H", "2.000000", "4.400000", "3.000000"),
    ("S08H-F02-S-MF02", "O", "3.000000", "3.000000", "3.000000"),
    ("S08H-F02-S-MF04", "X", "3.000000", "3.000000", "3.000000"),
)
"""(name, label, activation, valence, dominance)"""


def block(name: str, code: str, activation: str, valence: str, dominance: str) -> str:
    """A turn in the evaluation file, with two of its annotators; there is a space after D."""
    return (
        f"UTD-IMPROV-{name}.avi; {code}; A:{activation}; V:{valence}; D:{dominance} ; N:3.666667;\n"
        "worker-p01; Angry; Angry,Frustrated; A:2.000000; V:2.000000; D:3.000000; N:4.000000;\n"
        "worker_p17; Other; Other (caf\u00e9: \u201codd\u201d); A:4.000000; V:3.000000; D:NaN; "
        "N:3.000000;\n"
    )


def write_release(
    folder: Path,
    turns: Sequence[tuple] = TURNS,
    evaluation: str = "Evalution.txt",
    encoding: str = "cp1252",
    films: bool = True,
    sounds: bool = True,
) -> Path:
    """The release; each file says its name, for `fake_extract`."""
    text = "\n".join(block(*turn) for turn in turns)
    put(folder / evaluation, text.encode(encoding))
    for name in dict.fromkeys(turn[0] for turn in turns):
        scene, speaker, setting, _ = name.split("-")
        place = Path(f"session{int(speaker[1:])}") / scene / setting / f"MSP-IMPROV-{name}"
        if films:
            put(folder / "Video" / place.with_suffix(".avi"), f"film of {name}".encode())
        if sounds:
            put(folder / "Audio" / place.with_suffix(".wav"), f"sound of {name}".encode())
        put(
            folder / "All_human_transcriptions" / f"MSP-IMPROV-{name}.txt",
            f"i said {name}\u2019s\r\n".encode("cp1252"),
        )
    return folder


def put(path: Path, content: bytes) -> Path:
    """A file, its folders, and what a Mac leaves beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.with_name(f"._{path.name}").write_bytes(MAC)
    return path
