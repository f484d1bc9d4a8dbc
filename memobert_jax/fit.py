"""Fitting a classifier on a few labelled clips, and choosing what to keep on other clips.

One fit serves all modality subsets: every step shows clips under a mix of them (the "seven cases"
of MEmoBERT §6.3). Dropout, masked words and frames and a pull back to the pre-trained parameters
keep it from learning the few clips by heart, and the start is a candidate when the best step is
chosen on the validation part.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from memobert_jax import classify, linear, stages, state, tasks
from memobert_jax.classify import HEAD
from memobert_jax.config import FitConfig
from memobert_jax.models.memobert import Batch
from memobert_jax.stages import Program
from memobert_jax.state import Params
from memobert_jax.together import Course, Together, compile_together, whole_stages
from memobert_jax.views import Rows


class Part(NamedTuple):
    """Packed clips, and their batches, which stay on the devices.

    free: the batch of a prompt without a clip, if scores are calibrated by it.
    """

    rows: Rows
    batches: Sequence[Batch]
    free: Batch | None = None


class Room(NamedTuple):
    """The most views of a train part and clips of a validation part in any fit of a program: all
    have the shapes of the largest, so that one compilation serves them."""

    train: int = 0
    validation: int = 0


class Fitted(NamedTuple):
    """The parameters that were kept.

    stage: `start`, `top` or `all`; step, lr: of the stage; validation: what it was chosen by;
    history: everything that was validated.
    """

    params: Params
    stage: str
    step: int
    lr: float
    validation: dict[str, float]
    history: list[dict[str, Any]]


class _Search:
    """The best candidate so far, and how long a stage went without a better one."""

    def __init__(self, program: Program, patience: int, labels: np.ndarray):
        self.program, self.patience, self.labels, self.since = program, patience, labels, 0
        self.best: Fitted | None = None
        self.history: list[dict[str, Any]] = []

    def offer(self, params: Params, outputs: np.ndarray, **where: Any) -> None:
        """Validates a candidate: outputs f32 [subsets, clips, outputs]."""
        found = self.program.task.selection(outputs, self.labels)
        self.history.append({**where, **found})
        self.since += 1
        if tasks.better(found, self.best and self.best.validation):
            kept = self.program.start(params).params
            place = {name: where[name] for name in ("stage", "step", "lr")}
            self.best = Fitted(kept, validation=found, history=self.history, **place)
            self.since = 0

    @property
    def stuck(self) -> bool:
        return bool(self.patience) and self.since >= self.patience


class Job(NamedTuple):
    """A fit.

    Attributes:
      start: the parameters of its classifier, kept as they are.
      train: labelled clips under all subsets.
      seed: of the order of clips and of dropout.
      pull: towards the trunk at the start, see FitConfig.anchor.
    """

    start: Params
    train: Part
    seed: int
    pull: float


def fit(
    program: Program,
    jobs: Sequence[Job],
    validation: Part,
    cfg: FitConfig,
    *,
    room: Room = Room(),  # noqa: B008 - immutable
    together: Together | None = None,
    advance: Callable[[int], Any] = lambda steps: None,
) -> list[Fitted]:
    """Both stages with every learning rate; what is kept was best on the validation part.

    Args:
      program: the compiled classifier.
      jobs: what is fitted. Several go through stage `all` at once, and end it when none of them
        finds anything better.
      validation: labelled clips to choose on.
      cfg: how long, how fast.
      room: of all fits that share the program.
      together: the program, compiled for several; by default it is, where there are several.
      advance: told of steps of stage `all`, for a progress bar.

    Raises:
      FloatingPointError: if a loss or a score is not finite.
    """
    searches = [_fit_top(program, job, validation, cfg, room) for job in jobs]
    bases = [search.best.params for search in searches]
    for lr in cfg.lrs if cfg.steps else ():
        done = 0
        for search in searches:
            search.since = 0
        for step, found, losses in _whole_stage(program, together, bases, jobs, cfg, lr):
            for search, params, loss in zip(searches, found, losses, strict=True):
                if not search.stuck:
                    loss = stages.finite(loss, "all", step)
                    outputs = classify.score(program.score, params, *validation).outputs
                    search.offer(params, outputs, stage="all", step=step, lr=lr, train_loss=loss)
            advance((step - done) * len(jobs))
            done = step
            if all(search.stuck for search in searches):
                break
        advance((cfg.steps - done) * len(jobs))
    return [search.best for search in searches]


def _whole_stage(
    program: Program,
    together: Together | None,
    bases: Sequence[Params],
    jobs: Sequence[Job],
    cfg: FitConfig,
    lr: float,
) -> Iterator[tuple[int, Iterable[Params], Sequence[float]]]:
    if len(jobs) > 1:
        courses = [Course(job.train.rows, job.pull, job.seed) for job in jobs]
        yield from whole_stages(together or compile_together(program), bases, courses, cfg, lr)
        return
    (base,), (job,) = bases, jobs
    stage = stages.whole_stage(program, base, job.train.rows, cfg, lr, job.pull, job.seed)
    for step, params, loss in stage:
        yield step, [params], [loss]


def _fit_top(program: Program, job: Job, validation: Part, cfg: FitConfig, room: Room) -> _Search:
    """The start and stage `top` of a fit."""
    search, start = _Search(program, cfg.patience, validation.rows.labels), job.start
    seen = classify.score(program.score, start, *validation)
    search.offer(start, seen.outputs, stage="start", step=0, lr=0.0, train_loss=None)
    if not (cfg.top_steps and program.classifier.top_paths):
        return search
    states = _labelled(classify.score(program.score, start, *job.train), job.train.rows.labels)
    clips = len(validation.rows.clips)
    features = _with_room(seen.features, room)
    for lr in cfg.top_lrs:
        search.since = 0
        stage = stages.top_stage(program, start, *states, cfg, lr, job.seed, room.train)
        for step, params, loss in stage:
            outputs = np.asarray(program.score_top(params, features))[:, :clips]
            search.offer(params, outputs, stage="top", step=step, lr=lr, train_loss=loss)
            if search.stuck:
                break
    return search


def probe(
    program: Program,
    start: Params,
    train: Part,
    validation: Part,
    cfg: FitConfig,
    *,
    room: Room = Room(),  # noqa: B008 - immutable
) -> Fitted:
    """A linear layer on the states of the train part, by scikit-learn; the network is not fitted.

    States are brought to mean 0 and deviation 1 by the train part, and the layer that is kept takes
    them as they are. Of the penalties the one is kept that is best on the validation part.

    Args:
      program: of a probe.
      start: its parameters; those of the layer are of no use.
      train, validation: labelled clips, without a `free` batch.
      cfg: its `probe_penalties`.
      room: of all fits that share the program.
    """
    seen = [classify.score(program.score, start, *part) for part in (train, validation)]
    states, labels = _labelled(seen[0], train.rows.labels)
    features, clips = _with_room(seen[1].features, room), len(validation.rows.clips)
    search = _Search(program, 0, validation.rows.labels)
    for penalty in cfg.probe_penalties:
        kernel, bias = linear.fit(states, labels, penalty, start[HEAD]["bias"].shape[0])
        layer = {"kernel": np.asarray(kernel, np.float32), "bias": np.asarray(bias, np.float32)}
        params = {**start, HEAD: jax.tree.map(state.put_like, layer, start[HEAD])}
        outputs = np.asarray(program.score_top(params, features))[:, :clips]
        where = {"stage": "top", "step": 0, "lr": 0.0, "penalty": penalty, "train_loss": None}
        search.offer(params, outputs, **where)
    return search.best


def _with_room(features: np.ndarray, room: Room) -> np.ndarray:
    """[subsets, clips, hidden] of a validation part, with as many clips as that of any fit."""
    features = np.swapaxes(features, 0, 1)
    return np.swapaxes(stages.pad(features, max(room.validation, len(features))), 0, 1)


def _labelled(found: classify.Scores, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(hidden states [n, hidden], labels [n] or [n, labels]) of the views that show something."""
    there = ~np.isnan(found.features[..., 0])
    labels = np.broadcast_to(labels, (len(there), *labels.shape))
    return found.features[there], labels[there]
