"""One media file -> its utterance clips and its yield ledger (MEmoBERT §1.2)."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memobert_jax.config import ExtractConfig
from memobert_jax.media import ledger
from memobert_jax.media.ledger import Reason
from memobert_jax.media.subtitles import Utterance

VERSION = 1
"""Part of `identity`: raised whenever the same input gives other clips."""


@dataclasses.dataclass(frozen=True)
class Extraction:
    """What came out of one file: flat clips records in order of time, and the video's ledger."""

    clips: list[dict[str, Any]]
    ledger: dict[str, Any]


def identity(
    path: str | Path,
    utterances: Sequence[Utterance] | None = None,
    labels: Mapping[str, Any] | None = None,
) -> str:
    """sha256 of all that decides the clips of `path` except the configuration.

    It covers the bytes of the media, the bytes of the subtitle sidecar that `extract` would read,
    the explicit `utterances`, the `labels` and VERSION: together with
    `config.fingerprint(ExtractConfig)` it keys the extraction store.

    Raises:
      OSError: if the file cannot be read.
    """
    raise NotImplementedError


def extract(
    path: str | Path,
    config: ExtractConfig,
    *,
    video_id: str | None = None,
    utterances: Sequence[Utterance] | None = None,
    labels: Mapping[str, Any] | None = None,
    timings: dict[str, float] | None = None,
) -> Extraction:
    """The clips of one video or sound file; the same bytes give the same records.

    Bad media never raise: they give no clips and a ledger with the reason.

    Args:
      path: media file. Its subtitles are a sidecar (`subtitles.find_sidecar`) or a stream in it.
      config: what to keep, and which modalities a clip must have (`require`).
      video_id: name of the video in records and ledger; by default the file's stem.
      utterances: segments to cut instead of subtitles, each with its own record fields; they may
        overlap. Both length limits of `config` hold for them too.
      labels: record fields that hold for the whole video, such as `speaker` or `gender`.
      timings: CPU seconds of each stage are added here: `decode`, `detect`, `mesh`, `crop`,
        `encode`, `audio`, `other`; `wall` is wall-clock seconds.

    Returns:
      Extraction(clips, ledger). A clip's `id` is `<video_id>_<number of the utterance>` unless the
      utterance has one; face times are seconds from the clip's start.

    Raises:
      ValueError: for an utterance or label field that a clips record does not have.
    """
    path = Path(path)
    name = path.stem if video_id is None else video_id
    if not path.is_file():
        return Extraction([], ledger.failed(name, str(path), "", Reason.MISSING_FILE))
    raise NotImplementedError
