"""TFDS builder of SAVEE: four men who act seven emotions, seen or heard."""

import dataclasses
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from memobert_jax.config import ExtractConfig
from tfds_builders import manual, named_files
from tfds_builders.clips_builder import ClipsBuilder, ClipsConfig
from tfds_builders.labels import Published
from tfds_builders.listing import EVERYTHING, Listing, Tally
from tfds_builders.savee import names

_PUBLISHED = Published(
    "Haq and Jackson 2010: of each speaker 15 utterances an emotion, 30 neutral",
    {
        EVERYTHING: {
            "clips": 480,
            **{f"emotion/{name}": 60 for name in names.EMOTIONS.values()},
            "emotion/neutral": 120,
        }
    },
)


@dataclasses.dataclass(eq=False)
class SaveeConfig(ClipsConfig):
    """A configuration that says which files are read."""

    folder: str = "AudioVisualClip"
    suffix: str = ".avi"
    extract: ExtractConfig = dataclasses.field(
        default_factory=lambda: ExtractConfig(
            require=("speech",), min_utterance_s=0.2, max_utterance_s=60.0
        )
    )
    published: Published | None = _PUBLISHED


class Builder(ClipsBuilder, skip_registration=True):  # TFDS has one of this name
    """Clips of SAVEE."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[SaveeConfig]] = [
        SaveeConfig(name="audio_visual", description="The video files, with their sound."),
        SaveeConfig(
            name="audio", description="The sound files.", folder="AudioData", suffix=".wav"
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir is the folder that AudioVisualClip.zip (or AudioData.zip, for --config=audio) "
        "of SAVEE was extracted in: it holds AudioVisualClip/DC/a1.avi (AudioData/DC/a01.wav)."
    )

    def list_sources(self, manual_dir: Path) -> Listing:
        """The files of all folders, by name; those of other folders than the speakers' are left
        out."""
        config, help_text = self.builder_config, self.MANUAL_DOWNLOAD_INSTRUCTIONS
        tally = Tally()
        root = manual.need(manual_dir, config.folder, help_text)
        paths = sorted(p for p in manual.walk(root) if p.suffix.lower() == config.suffix)
        if not any(path.parent.name in names.SPEAKERS for path in paths):
            speakers = ", ".join(names.SPEAKERS)
            raise FileNotFoundError(
                f"no {config.suffix} file in the folders {speakers} of {root}. {help_text}"
            )
        found = named_files.sources(
            manual_dir, paths, lambda path: names.read(path.parent.name, path.stem), tally
        )
        return Listing(found, tally)
