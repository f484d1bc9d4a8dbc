"""Which columns of published features a dataset keeps, and what their rows are.

The first ten of the 35 columns of FACET 4.2 are scores of emotions (anger, contempt, disgust, joy,
fear, baseline, sadness, surprise, confusion, frustration): a network that reads them is told part
of the answer, and a claim about an emotion that it never saw would not hold for the face. They are
left out unless a configuration asks for them. What the columns of other releases are is not known
here; they are kept, and the metadata says so.
"""

import dataclasses

FACET_WIDTH, FACET_EMOTIONS = 35, 10
_OPENFACE_WIDTH = 713


@dataclasses.dataclass(frozen=True)
class Face:
    """Columns of the face features that are kept.

    Attributes:
      first: the first one.
      width: how many.
      name: what they are, for the metadata.
    """

    first: int
    width: int
    name: str

    @staticmethod
    def of(width: int, emotion_scores: bool) -> "Face":
        """For features of `width` columns; `emotion_scores` keeps those of FACET 4.2."""
        if width == FACET_WIDTH and not emotion_scores:
            return Face(FACET_EMOTIONS, width - FACET_EMOTIONS, "FACET 4.2 without emotion scores")
        if width == FACET_WIDTH:
            return Face(0, width, "FACET 4.2 with emotion scores")
        if width == _OPENFACE_WIDTH:
            return Face(0, width, "OpenFace 2")
        return Face(0, width, f"{width} columns, which may hold emotion scores")


def speech_name(width: int) -> str:
    """What speech features of so many columns are, for the metadata."""
    return {74: "COVAREP", 5: "5 columns of COVAREP"}.get(width, f"{width} columns of speech")
