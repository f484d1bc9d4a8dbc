"""Every configuration field, with its default, unit and check, declared once.

Code takes the frozen dataclasses below. Files in `configs/` return them as `ml_collections`
ConfigDicts (`as_config_dict`), the command line overrides single fields
(`--config.optim.peak_lr=1e-4`), and `from_config_dict` checks every value on the way back.
"""

import dataclasses
import difflib
import hashlib
import json
import typing
from collections.abc import Mapping
from typing import Any

T = typing.TypeVar("T")

MODALITIES = ("text", "face", "speech")
SUBSETS = ("T", "F", "S", "TF", "TS", "FS", "TFS")
"""Modality subsets of the evaluation, by first letter."""

SENTIMENTS = {
    "sentiment_2": ("negative", "positive"),
    "sentiment_5": ("-2", "-1", "0", "1", "2"),
    "sentiment_7": ("-3", "-2", "-1", "0", "1", "2", "3"),
}
"""Targets that are classes of the sentiment -> their names, in order."""

VALUES = ("sentiment", "valence", "arousal", "dominance")
"""Targets that are numbers."""

TARGETS = ("emotion", "emotions", "labels", *SENTIMENTS, *VALUES)
"""What an evaluation can predict of a clip, see `targets.py`."""

SCORINGS = ("restricted", "full_vocabulary", "calibrated")
"""How the words at [MASK] become classes, see `verbaliser.py`."""

REPRODUCE = {
    "test_oracle": "SELECTED ON TEST",
    "seen_test": "TEST CLIPS WERE SEEN BEFORE",
}
"""Practices that are refused unless they are asked for -> the stamp that every output then has."""

OBJECTIVES = ("mlm", "mfr", "mfc", "msr")
"""Masked language modelling, face regression, face classification (KL), speech regression."""

LABEL_WORDS = {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "scared",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprise": "surprised",
    "excitement": "excited",
    "frustration": "frustrated",
    "calm": "calm",
    "contempt": "contemptuous",
}
"""Canonical label name -> the word that fills "i am [MASK] ."; a tokenizer keeps them whole."""


@dataclasses.dataclass(frozen=True)
class Check:
    """A test of one value and the words that say what was expected."""

    expected: str
    passes: typing.Callable[[Any], bool]


POSITIVE = Check("a number above 0", lambda v: v > 0)
NOT_NEGATIVE = Check("a number of at least 0", lambda v: v >= 0)
SHARE = Check("a number from 0 to 1", lambda v: 0 <= v <= 1)
BELOW_ONE = Check("a number from 0 to below 1", lambda v: 0 <= v < 1)
NOT_EMPTY = Check("at least one entry", lambda v: len(v) > 0)
SEEDS = Check("numbers from 0 to 4294967295", lambda v: all(0 <= seed < 2**32 for seed in v))
RATES = Check("at least one entry, each above 0", lambda v: v and min(v) > 0)


def _once(values: tuple) -> bool:
    return len(set(values)) == len(values)


def one_of(*choices: str) -> Check:
    return Check(f"one of {', '.join(choices)}", lambda v: v in choices)


def each_of(*choices: str) -> Check:
    return Check(
        f"a selection from {', '.join(choices)}", lambda v: all(item in choices for item in v)
    )


def some_of(*choices: str) -> Check:
    within = each_of(*choices)
    return Check(f"{within.expected}, not empty", lambda v: v and within.passes(v))


def field(
    default: Any, doc: str, check: Check | None = None, unit: str = "", *, free: bool = False
) -> Any:
    """A dataclass field with its documentation, unit and check.

    `free`: may differ when a run is resumed, because it changes nothing that is learned or
    measured, or because something stronger than its value is compared (`differences`).
    """
    metadata = {"doc": doc, "check": check, "unit": unit, "free": free}
    if dataclasses.is_dataclass(default):
        return dataclasses.field(default_factory=lambda: default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class ExtractConfig:
    """Raw media to clips (MEmoBERT §1.2). Its hash keys the extraction store."""

    min_utterance_s: float = field(1.0, "shorter utterances are dropped", POSITIVE, "s")
    max_utterance_s: float = field(15.0, "longer utterances are dropped", POSITIVE, "s")
    merge_gap_s: float = field(
        0.3, "an utterance below the minimum merges with a neighbour this near", NOT_NEGATIVE, "s"
    )
    require: tuple[str, ...] = field(
        MODALITIES, "a clip without one of these modalities is dropped", each_of(*MODALITIES)
    )
    min_face_score: float = field(0.5, "detections below are ignored", SHARE)
    min_face_px: int = field(24, "smaller faces are ignored", POSITIVE, "px")
    min_presence: float = field(
        0.2, "a person seen in a smaller share of the frames is ignored", SHARE
    )
    shot_change: float = field(
        0.5, "grey-histogram distance between frames above which a track ends", SHARE
    )
    mouth_change: float = field(
        0.03, "change of mouth opening that counts, in inter-ocular distances", POSITIVE
    )
    mouth_open: float = field(
        0.03, "mouth opening that counts, in inter-ocular distances", POSITIVE
    )
    detect_every_s: float = field(
        1.0, "time between face detections; in between, landmarks are followed", NOT_NEGATIVE, "s"
    )
    max_faces: int = field(6, "largest faces of a picture that are followed", POSITIVE)
    active_speaker: bool = field(
        True, "choose the face that speaks; off: the face that is on screen most"
    )


@dataclasses.dataclass(frozen=True)
class EncodersConfig:
    """Which frozen front ends make features of clips."""

    face: str = field("pixels", "face front end", one_of("pixels", "denseface"))
    speech: str = field("logmel", "speech front end", one_of("logmel", "wav2vec2"))
    face_weights: str = field("", "denseface: the .safetensors file that train_denseface wrote")
    speech_weights: str = field(
        "", "wav2vec2: checkpoint folder with config.json and model.safetensors"
    )

    def __post_init__(self):
        for modality, name in self.names().items():
            given, needs = self.weights()[modality], name in ("denseface", "wav2vec2")
            if needs and not given:
                raise ValueError(
                    f"the {modality} encoder {name!r} needs weights: give {modality}_weights"
                )
            if given and not needs:
                raise ValueError(
                    f"{modality}_weights = {given!r}, but the {modality} encoder {name!r} has no "
                    "weights: leave them out, or name another encoder"
                )

    def names(self) -> dict[str, str]:
        """Modality -> front end."""
        return {"face": self.face, "speech": self.speech}

    def weights(self) -> dict[str, str]:
        """Modality -> path of its weights; '' without."""
        return {"face": self.face_weights, "speech": self.speech_weights}


@dataclasses.dataclass(frozen=True)
class FeaturesConfig:
    """How features are stored."""

    storage: str = field(
        "float16",
        "face and speech features: float16 as they are, or int8 with a scale for each clip and "
        "column, in little more than half the bytes",
        one_of("float16", "int8"),
    )


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The single-stream transformer (MEmoBERT §3). Data-dependent sizes are set from the data."""

    vocab_size: int = field(0, "word pieces; 0: as many as the tokenizer has", NOT_NEGATIVE)
    face_dim: int = field(0, "columns of the face features; 0: from the data", NOT_NEGATIVE)
    face_emotion_dim: int = field(0, "expression classes; 0: from the data", NOT_NEGATIVE)
    speech_dim: int = field(0, "columns of the speech features; 0: from the data", NOT_NEGATIVE)
    hidden: int = field(768, "width of the trunk", POSITIVE)
    layers: int = field(12, "depth of the trunk", POSITIVE)
    heads: int = field(12, "attention heads", POSITIVE)
    mlp: int = field(3072, "width of the feed-forward layer", POSITIVE)
    max_positions: int = field(512, "rows of each position table", POSITIVE)
    dropout: float = field(0.1, "dropout of embeddings and residual branches", BELOW_ONE)
    attention_dropout: float = field(
        0.0, "dropout of attention weights; above 0 no fused kernel can compute them", BELOW_ONE
    )
    attention: str = field(
        "auto",
        "auto: the fastest attention kernel of the platform; plain: never a fused one",
        one_of("auto", "plain"),
        free=True,
    )
    norm_eps: float = field(1e-12, "epsilon of every layer norm", POSITIVE)
    init_std: float = field(0.02, "standard deviation of the initial weights", POSITIVE)
    dtype: str = field(
        "float32",
        "dtype of matrix products; parameters stay float32",
        one_of("float32", "bfloat16"),
    )
    remat: str = field(
        "none",
        "what the backward pass computes again to save memory: none; dots: all but the outputs of "
        "the dense layers; full: all of a layer but its input",
        one_of("none", "dots", "full"),
        free=True,
    )

    def __post_init__(self):
        if self.hidden % self.heads:
            raise ValueError(
                f"model.hidden = {self.hidden} is not divisible by model.heads = {self.heads}"
            )

    @property
    def vocab_rows(self) -> int:
        """Rows of the word table: a multiple of 64, so that a tensor axis divides it."""
        return -(-self.vocab_size // 64) * 64


@dataclasses.dataclass(frozen=True)
class MaskingConfig:
    """Which tokens and frames are hidden and predicted (MEmoBERT §4.2)."""

    mode: str = field(
        "default",
        "paper: one dice a clip, 80/10/10; head: every span zeroed; default: as paper, with at "
        "least one target a clip, last frames reachable, spans apart; single: pieces and frames "
        "one by one, frames zeroed, at least one target a clip",
        one_of("default", "paper", "head", "single"),
    )
    text_ratio: float = field(0.15, "share of words masked", SHARE)
    face_ratio: float = field(0.20, "share of face frames masked", SHARE)
    speech_ratio: float = field(0.15, "share of speech frames masked", SHARE)
    span: int = field(3, "frames of a span", POSITIVE, "frames")
    fewer: float = field(
        0.0,
        "share of clips that show only some of their modalities, each proper subset alike, so that "
        "the network knows what it is asked with modalities missing",
        SHARE,
    )


@dataclasses.dataclass(frozen=True)
class ObjectivesConfig:
    """How the objectives share the training (MEmoBERT §4.1)."""

    schedule: str = field(
        "joint",
        "per_step: one objective a step; per_clip: one a clip; joint: all modalities masked",
        one_of("per_step", "per_clip", "joint"),
    )
    mlm: float = field(2.0, "share of masked language modelling", NOT_NEGATIVE)
    mfr: float = field(1.0, "share of masked face regression", NOT_NEGATIVE)
    mfc: float = field(1.0, "share of masked face classification", NOT_NEGATIVE)
    msr: float = field(1.0, "share of masked speech regression", NOT_NEGATIVE)

    def shares(self, face_emotion_dim: int) -> dict[str, float]:
        """Share of each objective that is on, summing to 1.

        Without expression posteriors `mfc` is off and its weight goes to the others.

        Raises:
          ValueError: if no objective is left.
        """
        weights = {name: getattr(self, name) for name in OBJECTIVES}
        if not face_emotion_dim:
            weights["mfc"] = 0.0
        total = sum(weights.values())
        if total <= 0:
            off = " (mfc is off: the features have no face_emotion)" if self.mfc > 0 else ""
            raise ValueError(f"objectives = {weights}{off}: give at least one a weight above 0")
        return {name: weight / total for name, weight in weights.items() if weight > 0}


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Features datasets and how their clips are packed into rows."""

    sources: tuple[tuple[str, float], ...] = field(
        (),
        "(features dataset folder, weight) pairs; weights are relative shares of rows; "
        "FOLDER:SPLIT trains on that split of it",
        free=True,
    )
    hold_out: tuple[str, ...] = field(
        (),
        "protocols and folds, as 'ravdess_5fold_actor:0', whose test clips are left out of "
        "training and of the held-out losses",
    )
    split: str = field("train", "split to train on")
    eval_split: str = field("validation", "split of the held-out losses")
    batch_rows: int = field(32, "packed rows of a global batch", POSITIVE)
    row_width: int = field(256, "trunk slots of a row", POSITIVE, "slots")
    text_cap: int = field(64, "text buffer of a row", POSITIVE, "tokens")
    face_cap: int = field(96, "face buffer of a row", POSITIVE, "frames")
    speech_cap: int = field(160, "speech buffer of a row", POSITIVE, "rows of 60 ms")
    max_clips: int = field(8, "clips in a row", POSITIVE)
    target_share: float = field(
        0.25, "places of a buffer that one objective can predict in a row; more are counted", SHARE
    )
    max_text: int = field(32, "tokens of a clip with [CLS] and [SEP]; longer are dropped", POSITIVE)
    max_face: int = field(36, "face frames of a clip; the first are kept", NOT_NEGATIVE, "frames")
    max_speech: int = field(64, "speech rows of a clip; the first are kept", NOT_NEGATIVE, "rows")
    skip_corrupt: bool = field(
        False,
        "a damaged record becomes an empty clip and is counted; off: it ends the run",
        free=True,
    )
    read_threads: int = field(
        2,
        "threads that assemble batches; more than one serve where the disk is waited for, and cost "
        "where it is not",
        POSITIVE,
        free=True,
    )
    prefetch: int = field(4, "batches assembled ahead and put on the devices", POSITIVE, free=True)

    def __post_init__(self):
        for cap, limit in (
            ("text_cap", "max_text"),
            ("face_cap", "max_face"),
            ("speech_cap", "max_speech"),
        ):
            if getattr(self, limit) > getattr(self, cap):
                raise ValueError(
                    f"data.{limit} = {getattr(self, limit)} exceeds data.{cap} = "
                    f"{getattr(self, cap)}: one clip must fit into one row"
                )
        longest = self.max_text + self.max_face + self.max_speech
        if longest > self.row_width:
            raise ValueError(
                f"a clip may have max_text + max_face + max_speech = {longest} slots, but "
                f"data.row_width = {self.row_width}: raise row_width or lower a maximum"
            )


@dataclasses.dataclass(frozen=True)
class OptimConfig:
    """AdamW with linear warm-up and decay (MEmoBERT §5)."""

    peak_lr: float = field(5e-5, "highest learning rate", POSITIVE)
    warmup_steps: int = field(4000, "steps of linear warm-up", NOT_NEGATIVE, "steps")
    b1: float = field(0.9, "decay of the first moment", BELOW_ONE)
    b2: float = field(0.98, "decay of the second moment", BELOW_ONE)
    eps: float = field(1e-6, "AdamW epsilon", POSITIVE)
    weight_decay: float = field(0.01, "decoupled weight decay", NOT_NEGATIVE)
    decay_modality_norms: bool = field(
        False, "decay the layer norms of embedders and heads too, as the original does by accident"
    )
    clip_norm: float = field(5.0, "largest global gradient norm", POSITIVE)
    accumulate: int = field(1, "micro-batches of a step", POSITIVE)


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Devices as (data, fsdp, tensor); -1 takes the devices that remain."""

    data: int = field(-1, "copies of the model over the batch", free=True)
    fsdp: int = field(1, "shards of parameters, also over the batch", free=True)
    tensor: int = field(1, "shards of heads, feed-forward and vocabulary", free=True)


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """A pre-training run."""

    seed: int = field(1234, "seed of initialisation, data order, masks and dropout", NOT_NEGATIVE)
    steps: int = field(40_000, "optimizer steps", POSITIVE, "steps")
    log_every: int = field(50, "steps between metric lines", POSITIVE, "steps", free=True)
    eval_every: int = field(1000, "steps between held-out losses", POSITIVE, "steps", free=True)
    eval_rows: int = field(256, "rows of the held-out set that are measured", POSITIVE)
    checkpoint_every: int = field(1000, "steps between checkpoints", POSITIVE, "steps", free=True)
    keep_checkpoints: int = field(3, "checkpoints kept, the latest ones", POSITIVE, free=True)
    max_skipped: int = field(
        10, "non-finite steps in a row after which the run stops", POSITIVE, "steps", free=True
    )
    tokenizer: str = field(
        "",
        "SentencePiece .model file; or vocab.txt, tokenizer.json or the whole folder of a BERT",
        free=True,
    )
    init_from: str = field("", "checkpoint whose parameters start the run; '': random", free=True)
    data: DataConfig = field(DataConfig(), "features datasets and packing")
    masking: MaskingConfig = field(MaskingConfig(), "what is hidden and predicted")
    model: ModelConfig = field(ModelConfig(), "the network")
    objectives: ObjectivesConfig = field(ObjectivesConfig(), "the mix of losses")
    optim: OptimConfig = field(OptimConfig(), "the optimizer")
    mesh: MeshConfig = field(MeshConfig(), "the device mesh")

    def __post_init__(self):
        for name in ("max_text", "max_face", "max_speech"):
            if getattr(self.data, name) > self.model.max_positions:
                raise ValueError(
                    f"data.{name} = {getattr(self.data, name)} exceeds model.max_positions = "
                    f"{self.model.max_positions}: every place of a clip needs a position of its own"
                )


@dataclasses.dataclass(frozen=True)
class PromptConfig:
    """A prompt and the words that stand for the classes (MEmoBERT §6.3)."""

    template: str = field(
        "{text} i am [MASK] .",
        "one [MASK], and the text of the clip before it, behind it or not at all",
    )
    templates: tuple[str, ...] = field(
        (),
        "more of them; each fold takes the one with which the network, before any fit, scores best "
        "on the validation part",
    )
    classes: tuple[str, ...] = field(
        ("anger", "happiness", "neutral", "sadness"), "canonical label names", NOT_EMPTY
    )
    label_words: tuple[str, ...] = field(
        ("angry", "happy", "neutral", "sad"),
        "a word for each class, in the order of classes; several that stand for it: 'happy|glad'",
        NOT_EMPTY,
    )
    scoring: str = field(
        "restricted",
        "restricted: label words among themselves; full_vocabulary: against all other words, as in "
        "the original; calibrated: less what the prompt says of no clip at all",
        one_of(*SCORINGS),
    )

    def __post_init__(self):
        if len(self.classes) != len(self.label_words):
            raise ValueError(
                f"prompt.classes has {len(self.classes)} entries and prompt.label_words "
                f"{len(self.label_words)}: give one word for each class"
            )


@dataclasses.dataclass(frozen=True)
class FitConfig:
    """Fitting a prompt or a head on labelled clips, in two stages.

    Stage `top` fits a head alone, on hidden states that are computed once (a prompt has nothing
    new to fit and goes without); stage `all` goes on from there with the whole network. Of every
    step that was validated, with each learning rate, the start included, the best on the
    validation part is kept.
    """

    per_class: tuple[int, ...] = field(
        (8,),
        "few-shot sizes, each fitted: labelled clips of each class; 0: all of the training part",
        Check("numbers of at least 0, each once", lambda v: all(n >= 0 for n in v) and _once(v)),
        "clips",
    )
    fewer: bool = field(
        False, "a class with fewer clips than per_class gives all that it has; False: refused"
    )
    shares: tuple[float, ...] = field(
        (),
        "further few-shot sizes: shares of the training part, of each class alike",
        Check(
            "numbers above 0 and below 1, each once",
            lambda v: all(0 < s < 1 for s in v) and _once(v),
        ),
    )
    subset_seeds: tuple[int, ...] = field(
        (),
        "seeds of few-shot subsets, each fitted with every seed; (): the seed of the run",
        SEEDS,
    )
    top_steps: int = field(40, "steps of stage top; 0: without it", NOT_NEGATIVE, "steps")
    top_batch: int = field(128, "views of a step of stage top", POSITIVE)
    top_lrs: tuple[float, ...] = field(
        (1e-3,), "highest learning rates of stage top to choose from", RATES
    )
    cases: tuple[str, ...] = field(
        (),
        "modality subsets that clips are shown under in equal shares while fitting; (): those that "
        "are scored; ('TFS',): whole clips alone",
        each_of(*SUBSETS),
    )
    together: int = field(
        1,
        "fits of an arm and fold that go through stage all at once, dealt out over the devices, of "
        "which each holds its networks whole; best a multiple of the devices",
        POSITIVE,
        free=True,
    )
    steps: int = field(60, "steps of stage all; 0: without it", NOT_NEGATIVE, "steps")
    batch_rows: int = field(8, "packed rows of a step of stage all", POSITIVE, "rows")
    lrs: tuple[float, ...] = field(
        (5e-5,), "highest learning rates of stage all to choose from", RATES
    )
    eval_every: int = field(20, "steps between validation scores", POSITIVE, "steps")
    patience: int = field(
        0, "validation scores without a better one that end a stage; 0: never", NOT_NEGATIVE
    )
    warmup_share: float = field(0.1, "share of a stage's steps with linear warm-up", SHARE)
    clip_norm: float = field(5.0, "largest global gradient norm", POSITIVE)
    anchor: float = field(
        1e-2,
        "share of the way back to the pre-trained parameters that a step takes at the highest "
        "learning rate",
        SHARE,
    )
    dropout: float = field(0.1, "dropout while fitting", BELOW_ONE)
    hide: float = field(
        0.5,
        "share of the words and frames of a clip masked in stage all, against overfitting",
        SHARE,
    )
    probe_penalties: tuple[float, ...] = field(
        (1.0, 1e1, 1e2, 1e3),
        "strengths of the penalty on a linear probe's weights, over the sum of the losses of its "
        "views, to choose from",
        RATES,
    )

    def __post_init__(self):
        if not (self.per_class or self.shares):
            raise ValueError("fit.per_class and fit.shares are both empty: give a few-shot size")


ARMS = ("zero_shot", "prompt", "head", "probe", "random_init")
"""What an evaluation compares: the pre-trained model with a prompt and no label, with a fitted
prompt, with a fitted head, with a linear probe on its states, and the same network fitted from
random parameters."""


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """Scoring a checkpoint on a labelled features dataset."""

    source: str = field("", "labelled features dataset folder")
    protocol: str = field(
        "by_split",
        "who is fitted on, selected on and scored: by_split, a name of `published.py`, or a .json "
        "file of your own (`folds.py`)",
    )
    target: str = field("emotion", "what is predicted, see `targets.py`", one_of(*TARGETS))
    reproduce: tuple[str, ...] = field(
        (),
        "practices that are refused otherwise, with a stamp on every output; --reproduce sets it",
        each_of(*REPRODUCE),
    )
    train_split: str = field("train", "by_split: split to fit on")
    validation_split: str = field("validation", "by_split: split to select on")
    test_split: str = field("test", "by_split: split to score")
    disjoint: tuple[str, ...] = field(
        ("video_id", "speaker"),
        "by_split: what no two of the parts may share; a leak is an error",
        each_of("video_id", "speaker", "session", "dialogue"),
    )
    arms: tuple[str, ...] = field(ARMS, "what to score", some_of(*ARMS))
    subsets: tuple[str, ...] = field(SUBSETS, "modality subsets to score", some_of(*SUBSETS))
    seeds: tuple[int, ...] = field(
        (1234, 4321, 5678),
        "seeds of the fits",
        Check("at least one entry, each from 0 to 4294967295", lambda v: v and SEEDS.passes(v)),
    )
    batch_rows: int = field(16, "packed rows of a scored batch", POSITIVE, "rows")
    row_width: int = field(
        256, "trunk slots of a row; wider where a clip needs it", POSITIVE, "slots"
    )
    max_text: int = field(
        0,
        "tokens of a clip with prompt, [CLS] and [SEP]; longer text is cut; 0: as in pre-training",
        NOT_NEGATIVE,
        "tokens",
    )
    max_face: int = field(
        0, "face frames, the first are kept; 0: as in pre-training", NOT_NEGATIVE, "frames"
    )
    max_speech: int = field(
        0, "speech rows, the first are kept; 0: as in pre-training", NOT_NEGATIVE, "rows"
    )
    frame_loss: tuple[float, ...] = field(
        (),
        "shares of the face and speech frames that are lost at random in further scores of the "
        "largest subset",
        Check(
            "numbers from 0 to below 1, each once",
            lambda v: all(0 <= s < 1 for s in v) and _once(v),
        ),
    )
    ceilings: str = field(
        "",
        "JSON file with `best_possible_accuracy` of each subset, such as the corpus.json of the "
        "talking heads; '': not known",
    )
    prompt: PromptConfig = field(PromptConfig(), "the prompt")
    fit: FitConfig = field(FitConfig(), "fitting on labelled clips")
    mesh: MeshConfig = field(MeshConfig(), "the device mesh")


@dataclasses.dataclass(frozen=True)
class DenseFaceConfig:
    """Training the face front end on labelled crops (MEmoBERT §2)."""

    source: str = field("", "clips dataset with face crops and emotions, such as fer_plus")
    train_split: str = field("train", "split to train on")
    validation_split: str = field("validation", "split to select the epoch on")
    test_split: str = field("test", "split to score")
    soft_labels: bool = field(False, "shares of the votes as targets; off: the majority alone")
    seed: int = field(1234, "seed of initialisation, order and augmentation", NOT_NEGATIVE)
    epochs: int = field(60, "passes over the training split", POSITIVE, "epochs")
    batch: int = field(64, "crops of a step", POSITIVE, "crops")
    lr: float = field(1e-3, "learning rate of Adam", POSITIVE)
    shift: int = field(
        4, "crops are moved at random by up to so much, and mirrored", NOT_NEGATIVE, "px"
    )


def as_dict(cfg: Any) -> dict[str, Any]:
    """A config dataclass as nested plain dicts (tuples kept)."""
    return {
        f.name: as_dict(value) if dataclasses.is_dataclass(value) else value
        for f in dataclasses.fields(cfg)
        for value in (getattr(cfg, f.name),)
    }


def as_config_dict(cfg: Any):
    """A config dataclass as a locked `ml_collections.ConfigDict`."""
    from ml_collections import ConfigDict

    return ConfigDict(as_dict(cfg)).lock()


def fingerprint(cfg: Any) -> str:
    """The first 12 hex digits of the sha256 of a config's values."""
    text = json.dumps(as_dict(cfg), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def differences(cls: type, before: Mapping, after: Mapping, path: str = "") -> dict[str, tuple]:
    """Fields, but the `free` ones, in which two configurations differ: path -> (before, after).

    Args:
      cls: the dataclass of both.
      before: as `as_dict`, or its JSON; a field that was not there yet had its default.
      after: the same.
      path: of the section, for the names.
    """
    out = {}
    for f in dataclasses.fields(cls):
        kind = typing.get_type_hints(cls)[f.name]
        if dataclasses.is_dataclass(kind):
            sections = (values.get(f.name, {}) for values in (before, after))
            out |= differences(kind, *sections, path=f"{path}{f.name}.")
        elif not f.metadata["free"]:
            old, new = (values.get(f.name, f.default) for values in (before, after))
            if json.dumps(old) != json.dumps(new):
                out[path + f.name] = old, new
    return out


def from_mapping(cls: type[T], values: Mapping[str, Any], path: str = "") -> T:
    """The dataclass `cls` from nested mappings, every value checked.

    Raises:
      ValueError: for an unknown field (with the nearest name), a value of another type, or one
        that fails its check. The message names the field, the value and what was expected.
    """
    known = {f.name: f for f in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    out = {}
    for name, value in values.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {path}{near[0]!r}?" if near else f"; fields: {sorted(known)}"
            raise ValueError(f"unknown config field {path}{name!r}{hint}")
        out[name] = _checked(f"{path}{name}", value, hints[name], known[name].metadata)
    return cls(**out)


def _checked(path: str, value: Any, hint: Any, metadata: Mapping[str, Any]) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_mapping(hint, value, f"{path}.")
    value = _typed(path, value, hint)
    check = metadata["check"]
    if check is not None and not check.passes(value):
        raise ValueError(f"{path} = {value!r}; expected {check.expected} ({metadata['doc']})")
    return value


def _typed(path: str, value: Any, hint: Any) -> Any:
    if typing.get_origin(hint) is tuple:
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            raise ValueError(f"{path} = {value!r}; expected a tuple")
        items, args = tuple(value), typing.get_args(hint)
        if args[-1] is not Ellipsis and len(items) != len(args):
            raise ValueError(f"{path} = {value!r}; expected {len(args)} entries")
        inner = [args[0]] * len(items) if args[-1] is Ellipsis else args
        return tuple(_typed(path, item, kind) for item, kind in zip(items, inner, strict=True))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ValueError(f"{path} = {value!r}; expected {hint.__name__}")
    return value


def from_config_dict(cls: type[T], config_dict: Any) -> T:
    """`from_mapping` for an `ml_collections.ConfigDict`."""
    return from_mapping(cls, config_dict.to_dict(preserve_field_references=False))
