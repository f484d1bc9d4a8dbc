"""The rendered talking heads: four emotions, 8 labelled clips a class, three seeds.

    python -m memobert_jax.evaluate --config=configs/evaluate_talking_heads.py \
        --config.source=FEATURES_DIR --config.ceilings=HEADS_DIR/corpus.json \
        --checkpoint=WORKDIR --output=DIR

`launch/quickstart.sh` runs it for a network of `configs/pretrain_talking_heads.py`: 42 s on two
cores of an AMD EPYC with AVX-512; its table, and its spread over seeds, stand in the README.
"""

from configs import evaluate_emotion


def get_config():
    config = evaluate_emotion.get_config()
    with config.unlocked():
        config.row_width = 144
        config.fit.update(steps=40, eval_every=20, batch_rows=8, lrs=(1e-3,))
    return config
