"""A small IEMOCAP release, with the names, trees, encodings and oddities of the real one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import media_samples as samples
import numpy as np

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
LEFT_SKIN, RIGHT_SKIN = (235, 195, 170), (150, 105, 75)
MAC = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        \xff\xfe\x80"
"""What a Mac writes beside a file, under ._NAME."""

TURNS = (
    ("F000", 0.5, 2.0, "neu", (2.5, 2.5, 2.5), "Excuse me."),
    ("F001", 2.5, 4.2, "exc", (4.0, 3.5, 3.0), "I won\x92t [LAUGHTER] believe it."),
    ("F002", 4.8, 5.6, "xxx", (2.6667, 3.0, 3.0), "What?"),
    ("M000", 1.2, 3.0, "ang", (1.5, 4.0, 4.5), "Do you have your forms?"),
    ("M001", 4.3, 5.5, "fru", (2.0, 3.0, 3.0), "Yes, I do."),
)
"""(turn, start_s, end_s, label, valence/activation/dominance, text), by speaker as in the release;
F000 and M000 overlap, so do F002 and M001."""


def evaluation(dialogue: str, turns: Sequence[tuple] = TURNS) -> str:
    """The text of a file of dialog/EmoEvaluation."""
    blocks = []
    for turn, start_s, end_s, code, means, _ in turns:
        numbers = ", ".join(f"{value:.4f}" for value in means)
        blocks.append(
            f"[{start_s:.4f} - {end_s:.4f}]\t{dialogue}_{turn}\t{code}\t[{numbers}]\n"
            "C-E2:\tNeutral;\t()\n"
            "C-E3:\tNeutral; Other;\t(a \x93remark\x94)\n"
            "C-F1:\tNeutral;\t(curious)\n"
            "A-E3:\tval 3; act 2; dom  2;\t()\n"
            "A-F1:\tval 3; act 2; dom  1;\t()\n"
        )
    return HEADER + "\n".join(blocks)


def transcript(dialogue: str, turns: Sequence[tuple] = TURNS) -> str:
    """The text of a file of dialog/transcriptions: by time, with lines that name no turn."""
    lines = [
        f"{dialogue}_{turn} [{start_s:08.4f}-{end_s:08.4f}]: {text}"
        for turn, start_s, end_s, _, _, text in sorted(turns, key=lambda row: row[1])
    ]
    lines[1:1] = ["M: [LAUGHTER]", f"{dialogue}_FXX0 [002.1000-002.3000]: Mm-hmm."]
    return "\n".join([*lines, "F: [BREATHING]"]) + "\n"


def put(path: Path, content: str | bytes) -> Path:
    """A file in cp1252, its folders, and what a Mac leaves beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("latin-1"))
    path.with_name(f"._{path.name}").write_bytes(MAC)
    return path


def write_release(
    folder: Path,
    dialogues: Mapping[str, Sequence[tuple]],
    media: Mapping[str, bytes] | None = None,
    films: bool = True,
    sounds: bool = True,
) -> Path:
    """The release with some dialogues, such as Ses01F_impro01 -> TURNS.

    media: dialogue -> bytes of its film; without, each file says its name, for `fake_extract`.
    """
    root = folder / "IEMOCAP_full_release"
    for dialogue, turns in dialogues.items():
        session = root / f"Session{dialogue[4]}"
        evaluations = session / "dialog" / "EmoEvaluation"
        put(evaluations / f"{dialogue}.txt", evaluation(dialogue, turns))
        for kind, name in (
            ("Categorical", f"{dialogue}_e2_cat.txt"),
            ("Attribute", f"{dialogue}_e3_atr.txt"),
            ("Self-evaluation", f"{dialogue}_f1_cat.anvil"),
        ):
            put(evaluations / kind / name, f"{dialogue}_F000  :Neutral state; ()\n")
        put(session / "dialog" / "transcriptions" / f"{dialogue}.txt", transcript(dialogue, turns))
        film = (media or {}).get(dialogue, f"film of {dialogue}".encode())
        if films:
            put(session / "dialog" / "avi" / "DivX" / f"{dialogue}.avi", film)
        for turn in dict.fromkeys(row[0] for row in turns) if sounds else ():
            name = f"{dialogue}_{turn}"
            put(session / "sentences" / "wav" / dialogue / f"{name}.wav", f"sound of {name}")
        put(session / "dialog" / "wav" / f"{dialogue}.wav", "both speakers")
    return root


def film(path: Path, seconds: float = 6.0) -> bytes:
    """A film as those of the release, of 720x480: two faces side by side that both talk."""
    pictures = []
    for i in range(round(seconds * 10)):
        picture = np.zeros((480, 720, 3), np.uint8)
        picture[110:370] = (90, 140, 170)
        for x, skin, opening in (
            (180, LEFT_SKIN, abs(np.sin(i * 0.7))),
            (540, RIGHT_SKIN, abs(np.sin(i * 0.9 + 1))),
        ):
            samples.draw_face(picture, (x, 240), 130, opening, skin)
        pictures.append(picture)
    samples.write_media(
        path,
        pictures,
        samples.babble(seconds),
        fps=10,
        video_codec="mpeg4",
        audio_codec="pcm_s16le",
        video_options={"b": "4000000"},
    )
    return path.read_bytes()
