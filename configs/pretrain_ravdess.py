"""The speech and action units of RAVDESS, with other unlabelled clips, for one fold of its actors.

    python -m memobert_jax.train --config=configs/pretrain_ravdess.py:0 --workdir=DIR/0 \
        --config.tokenizer=FILE.model --config.data.sources="(('RAVDESS:everything', 3.0), \
        ('GOEMOTIONS', 1.0), ('GRID', 1.0), ('HEADS:unlabelled', 1.0), ('EMOBANK', 1.0))"

1,500 steps on two cores of an AMD EPYC with AVX-512 in 3 minutes: held-out mlm 4.77 to 5.07 over
the folds (unigram 6.34), msr 1.01 to 1.03 (mean of the clip 1.25), both of the other corpora. The
number after the colon is the fold whose test actors are held out. A clip has one vector of action
units: masked, nothing of the face would be left, so it is shown and never predicted.
"""

from configs import pretrain_tiny


def get_config(fold: str = "0"):
    config = pretrain_tiny.get_config()
    with config.unlocked():
        config.data.hold_out = (f"ravdess_5fold_actor:{int(fold)}",)
        config.steps = 1500
        config.data.update(batch_rows=12, row_width=192, max_clips=12, max_text=40, max_face=4)
        config.data.update(text_cap=192, face_cap=12, speech_cap=160, max_speech=96)
        config.model.update(hidden=128, mlp=512)
        config.masking.update(text_ratio=0.3, fewer=0.5)
        config.objectives.update(mlm=2.0, mfr=0.0, mfc=0.0)
    return config
