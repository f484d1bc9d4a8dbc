"""A labelled corpus under its published protocol, with all labelled clips of the train part.

    python -m memobert_jax.evaluate --config=configs/evaluate_protocol.py:ravdess_5fold_actor \
        --config.source=FEATURES_DIR --checkpoint=WORKDIR --output=DIR

The name after the colon is one of `memobert_jax/published.py`; it brings classes and label words.
Few-shot sizes: --config.fit.per_class="(1,4,16)" --config.fit.shares="(0.1,0.2)". Not run yet on a
pre-trained network that is worth its name.
"""

from configs import evaluate_emotion
from memobert_jax import published
from memobert_jax.config import LABEL_WORDS


def get_config(protocol: str = "ravdess_5fold_actor"):
    definition = published.find(protocol)
    config = evaluate_emotion.get_config()
    with config.unlocked():
        config.protocol = protocol
        config.target = definition.targets[0]
        if definition.classes:
            config.prompt.classes = definition.classes
            config.prompt.label_words = tuple(LABEL_WORDS[name] for name in definition.classes)
        config.fit.per_class = (0,)
    return config
