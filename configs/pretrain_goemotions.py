"""Mostly the comments of GoEmotions, with what else is at hand, for an evaluation of its labels.

    python -m memobert_jax.train --config=configs/pretrain_goemotions.py --workdir=RUN \
        --config.tokenizer=FILE.model --config.data.sources="(('GOEMOTIONS', 8.0), \
        ('RAVDESS:everything', 1.0), ('GRID', 1.0), ('HEADS:unlabelled', 1.0), ('EMOBANK', 1.0))"

2,000 steps on two cores of an AMD EPYC with AVX-512, beside other work, in 26 minutes: held-out mlm
4.00 (unigram 6.21), msr 1.05 (mean of the clip 1.27). Only the split `train` of GoEmotions is read;
its label words are pieces of the tokenizer.
"""

from configs import pretrain_ravdess


def get_config():
    config = pretrain_ravdess.get_config()
    config.data.hold_out = ()
    config.steps = 2000
    config.data.update(batch_rows=16, max_text=64)
    config.model.update(hidden=192, layers=4, mlp=768)
    config.masking.update(text_ratio=0.2, fewer=0.0)
    config.optim.peak_lr = 1.5e-3
    return config
