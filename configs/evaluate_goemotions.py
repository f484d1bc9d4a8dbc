"""The 28 labels of GoEmotions in their official split, text alone; a comment may have several.

    python -m memobert_jax.evaluate --config=configs/evaluate_goemotions.py --checkpoint=RUN \
        --config.source=GOEMOTIONS --output=SCORES

RUN is a network of `configs/pretrain_goemotions.py`. A label is said to hold from a probability on
that the validation part gives. All of it runs by `launch/real_corpora.sh`; its results stand in the
README. Steps and learning rates were not searched for.
"""

from configs import evaluate_protocol

WORDS = {
    "admiration": "admiring",
    "amusement": "amused",
    "anger": "angry",
    "annoyance": "annoyed",
    "approval": "approving",
    "caring": "caring",
    "confusion": "confused",
    "curiosity": "curious",
    "desire": "longing",
    "disappointment": "disappointed",
    "disapproval": "disapproving",
    "disgust": "disgusted",
    "embarrassment": "embarrassed",
    "excitement": "excited",
    "fear": "scared",
    "gratitude": "grateful",
    "grief": "grieving",
    "joy": "happy",
    "love": "loving",
    "nervousness": "nervous",
    "optimism": "optimistic",
    "pride": "proud",
    "realization": "realizing",
    "relief": "relieved",
    "remorse": "sorry",
    "sadness": "sad",
    "surprise": "surprised",
    "neutral": "neutral",
}
"""Label -> the word that fills "i am [MASK] ."."""


def get_config():
    config = evaluate_protocol.get_config("goemotions_official")
    config.target = "labels"
    config.prompt.update(classes=tuple(WORDS), label_words=tuple(WORDS.values()))
    config.update(subsets=("T",), batch_rows=32, row_width=192)
    config.fit.update(steps=600, eval_every=300, batch_rows=16, lrs=(5e-4,), anchor=0.0)
    config.fit.update(hide=0.1, top_steps=300)
    return config
