"""The speech and action units of RAVDESS under its published folds of actors.

    python -m memobert_jax.evaluate --config=configs/evaluate_ravdess.py \
        --checkpoint='RUNS/{fold}' --config.source=RAVDESS --output=SCORES

`RUNS/{fold}` are the networks of `configs/pretrain_ravdess.py`, each of which has seen nothing of
the actors that its fold tests. Steps and learning rate were chosen on the validation part of fold
0. For the curve over few labels: --config.fit.per_class="(1,4,16,64)" --config.seeds="(1234,)"
--config.frame_loss="()"; a training part may have no more than 56 neutral clips, which then are all
taken. All of it runs by `launch/real_corpora.sh`; its results stand in the README.
"""

from configs import evaluate_protocol


def get_config():
    config = evaluate_protocol.get_config("ravdess_5fold_actor")
    config.row_width = 192
    config.fit.update(steps=400, eval_every=200, lrs=(1e-3,), hide=0.3, anchor=0.0)
    config.fit.fewer = True
    config.frame_loss = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
    return config
