"""TFDS builder of the rendered talking heads."""

import dataclasses
from collections import defaultdict
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from memobert_jax import record
from memobert_jax.media.subtitles import Utterance
from tfds_builders import tables
from tfds_builders.clips_builder import ClipsBuilder, ClipsConfig
from tfds_builders.extraction import Source
from tfds_builders.listing import Listing

VIDEO_COLUMNS = ("path", "split", "speaker", "gender")
LABEL_COLUMNS = ("path", "start_s", "end_s", "text", "emotion", "valence", "arousal")
SHOWN_COLUMNS = ("shown_text", "shown_face", "shown_speech")
"""What each modality shows; for analysis, never part of a clip."""

FOUR = ("anger", "happiness", "neutral", "sadness")
SEVEN = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


@dataclasses.dataclass(eq=False)
class HeadsConfig(ClipsConfig):
    """A configuration with the emotions of the corpus."""

    emotions: tuple[str, ...] = FOUR


class Builder(ClipsBuilder):
    """Clips of the rendered talking heads, unlabelled and labelled."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[ClipsConfig]] = [
        HeadsConfig(name="four", description="Anger, happiness, neutral, sadness."),
        HeadsConfig(name="seven", description="Also disgust, fear and surprise.", emotions=SEVEN),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir is the output folder of `python -m tfds_builders.talking_heads.render`, with "
        "videos.csv and labels.csv in it."
    )

    def list_sources(self, manual_dir: Path) -> Listing:
        """The videos of videos.csv: labelled ones cut by labels.csv, others by their subtitles."""
        if not (manual_dir / "videos.csv").is_file():
            raise FileNotFoundError(
                f"no videos.csv in --manual_dir={manual_dir}; give the output folder of "
                "python -m tfds_builders.talking_heads.render"
            )
        labelled = self._utterances(manual_dir / "labels.csv")
        sources = []
        for row in tables.read_rows(manual_dir / "videos.csv", VIDEO_COLUMNS):
            where = f"{manual_dir / 'videos.csv'} line {row['line']}"
            path = tables.inside(manual_dir, row["path"], where)
            sources.append(
                Source(
                    video_id=row["path"],
                    path=str(path),
                    split=row["split"],
                    utterances=labelled.pop(row["path"], None),
                    labels=tables.fields(row, ("speaker", "gender")),
                )
            )
        if labelled:
            raise ValueError(
                f"{manual_dir}: labels.csv speaks of {len(labelled)} videos that are not in "
                f"videos.csv, such as {min(labelled)!r}; render the corpus again"
            )
        if gone := [source.video_id for source in sources if not Path(source.path).is_file()]:
            raise FileNotFoundError(
                f"{manual_dir}: {len(gone)} of {len(sources)} videos in videos.csv are missing, "
                f"such as {gone[0]!r}; render the corpus again, it goes on where it was"
            )
        return Listing.of(sorted(sources, key=lambda source: source.video_id))

    def _utterances(self, path: Path) -> dict[str, tuple[Utterance, ...]]:
        classes = self.builder_config.emotions
        by_video: dict[str, list[Utterance]] = defaultdict(list)
        for row in tables.read_rows(path, LABEL_COLUMNS, SHOWN_COLUMNS):
            where = f"{path} line {row['line']}"
            values: dict[str, Any] = {
                "emotion": tables.emotion_id(row["emotion"], where),
                "valence": tables.number(row["valence"], where),
                "arousal": tables.number(row["arousal"], where),
            }
            if record.EMOTIONS[values["emotion"]] not in classes:
                raise ValueError(
                    f"{where}: {row['emotion']} is none of the classes of configuration "
                    f"{self.builder_config.name!r} ({', '.join(classes)}); give --config="
                    "seven for a corpus that was rendered with seven emotions"
                )
            times = (tables.number(row[name], where) for name in ("start_s", "end_s"))
            by_video[row["path"]].append(Utterance(*times, row["text"], values))
        return {name: tuple(utterances) for name, utterances in by_video.items()}
