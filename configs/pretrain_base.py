"""The base size on packed rows, for an accelerator: 12 layers of 768, bfloat16.

    python -m memobert_jax.train --config=configs/pretrain_base.py --workdir=DIR \
        --config.tokenizer=FILE.model \
        --config.data.sources="(('FEATURES_DIR', 1.0),)"

Every modality of every clip is masked in every step (`joint`): at tiny scale it reaches the
held-out losses of `per_step` in half the steps (README; `launch/compare_schedules.sh`). 96 rows of
512 slots hold about 700 clips of 2.2 s. Not run yet.
"""

from configs import base


def get_config():
    config = base.get_config()
    with config.unlocked():
        config.model.update(dtype="bfloat16", remat="dots")
        config.data.update(batch_rows=96, row_width=512, max_clips=16)
        config.data.update(text_cap=104, face_cap=168, speech_cap=344)
    return config
