"""The embedded corpus: eight labelled clips a class to fit on, others to select on and to score.

    python -m memobert_jax.evaluate --config=configs/evaluate_talking_heads.py --checkpoint=RUN \
        --config.source=FEATURES --config.ceilings=MEDIA/corpus.json --output=DIR
"""

from configs import evaluate_emotion


def get_config():
    config = evaluate_emotion.get_config()
    config.row_width = 144
    return config
