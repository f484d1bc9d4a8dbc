"""DenseFace on FER+: the face front end whose features and posteriors the paper uses.

    python -m tfds_builders.build fer_plus --manual_dir=FOLDER --data_dir=DATA
    python -m memobert_jax.train_denseface --config=configs/train_denseface.py \
        --config.source=DATA/fer_plus/majority/1.0.0 --output=denseface.safetensors

Published with the original: accuracy 82.9 % on validation and 82.3 % on test (UAR 68.0 and 64.5),
epoch 43, Adam 1e-3. Not run yet on FER+. The same network on 928 rendered crops of 64 clips of the
talking heads (--config.source=quickstart/clips/talking_heads/four/1.0.0 --config.epochs=8):
accuracy 53.0 % on 951 crops of validation, by which epoch 5 was chosen, 46.9 % on 2,915 of test
(chance 25), in 11 minutes on two cores of an AMD EPYC beside other work.
"""

from memobert_jax.config import DenseFaceConfig, as_config_dict


def get_config():
    return as_config_dict(DenseFaceConfig())
