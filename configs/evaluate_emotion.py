"""Four emotions on a labelled features dataset, speakers apart: zero-shot, prompt, head, random.

    python -m memobert_jax.evaluate --config=configs/evaluate_emotion.py --checkpoint=RUN \
        --config.source=LABELLED_FEATURES --output=DIR

Other classes: `--config.prompt.classes="('joy', ...)"` with one of `--config.prompt.label_words`.
"""

from memobert_jax.config import EvaluateConfig, as_config_dict


def get_config():
    return as_config_dict(EvaluateConfig())
