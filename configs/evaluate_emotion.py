"""Four emotions on a labelled features dataset, such as a `folder_corpus` went through featurize.

    python -m memobert_jax.evaluate --config=configs/evaluate_emotion.py \
        --config.source=FEATURES_DIR --checkpoint=WORKDIR --output=DIR

Other classes: --config.prompt.classes="('anger','fear')" with as many label words in the same
order, --config.prompt.label_words="('angry','scared')". Splits in which a speaker is on two sides
are refused; --config.disjoint="('video_id',)" allows it. Not run yet on a public corpus.
"""

from memobert_jax.config import EvaluateConfig, as_config_dict


def get_config():
    return as_config_dict(EvaluateConfig())
