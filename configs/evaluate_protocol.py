"""A labelled corpus under its published protocol, with all labelled clips of the train part.

    python -m memobert_jax.evaluate --config=configs/evaluate_protocol.py:ravdess_5fold_actor \
        --config.source=FEATURES_DIR --checkpoint=WORKDIR --output=DIR

The name after the colon is one of `memobert_jax/published.py`; it brings classes and label words.
Few-shot sizes: --config.fit.per_class="(1,4,16)" --config.fit.shares="(0.1,0.2)".

RAVDESS (`action_units`; 5 folds, 3 seeds, prompt, head and random start: 45 fits of 60 steps) with
a network of `pretrain_talking_heads` and --config.row_width=144: 6.6 minutes on two cores of an AMD
EPYC beside other work, 9 of CPU time. Of the 9 to 13 CPU seconds of a fit its four validation
scores take 4.6, its steps 3.5, the test scores 1.4, and the states of the train part that a head is
fitted on 3.1. Not run yet with a network that was pre-trained for more than a trial.
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
