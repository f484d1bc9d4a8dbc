"""A small model for two CPU cores: three layers of width 96, rows of 144 slots.

    python -m memobert_jax.train --config=configs/pretrain_tiny.py --workdir=DIR \
        --config.tokenizer=FILE.model --config.data.sources="(('FEATURES_DIR', 1.0),)"

On the 500 clips of GRID speaker s1 (two cores of an AMD EPYC, 4.2 minutes): held-out losses mlm
0.49, mfr 0.037, msr 0.954; of the trivial predictors mlm 3.31 (unigram), mfr 0.017, msr 1.099 (clip
mean).
"""

from configs import base


def get_config():
    config = base.get_config()
    with config.unlocked():
        config.update(steps=1000, log_every=20, eval_every=200, eval_rows=64)
        config.update(checkpoint_every=200)
        config.model.update(init_std=0.05, hidden=96, layers=3, heads=4, mlp=384)
        config.data.update(batch_rows=16, row_width=144, text_cap=48, face_cap=64, speech_cap=96)
        config.data.target_share = 0.4
        config.optim.update(peak_lr=2e-3, warmup_steps=50)
    return config
