"""Subtitle files and streams -> cues -> utterances (MEmoBERT §1.2, steps 1 and 2)."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Utterance:
    """A stretch of a video in which somebody says something.

    Attributes:
      start_s, end_s: place in the video, seconds from its start; `end_s` may be `math.inf`, the
        end of the file.
      text: what is said, or ''.
      fields: values of further fields of the clips record, such as `id`, `speaker`, `emotion`.
    """

    start_s: float
    end_s: float
    text: str = ""
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
