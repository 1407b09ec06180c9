"""Every setting of a run: its default, its meaning, what it may be. Each default stands here once.

The command line is derived from these classes (`cli/options.py`), a run writes them to
`config.json`, and every later command reads them from there. Modules take the values, and where
their own signature needs a default they refer to the class attribute (`FrontEndConfig.n_fft`).
"""

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

from melodai.errors import SettingError
from melodai.labels import parse_moods

# Of every pretrained network that has tags: their values before the sigmoid.
TAG_LAYER = "logits"

PRETRAINED, RANDOM = "pretrained", "random"  # what `--init` takes beside a path

Seconds = float | Literal["full"]


def option(
    default: Any, help: str, *, choices=None, minimum=None, maximum=None, flag=None, formerly=None
) -> Any:
    """A dataclass field that also carries what the command line needs to know about it.

    Args:
        help: one sentence with the unit.
        choices: the allowed words.
        minimum, maximum: inclusive bounds of a number.
        flag: name on the command line where it is not the field's own.
        formerly: an older name of the setting, still understood.
    """
    metadata = dict(
        help=help, choices=choices, minimum=minimum, maximum=maximum, flag=flag, formerly=formerly
    )
    return dataclasses.field(default=default, metadata=metadata)


class _Checked:
    """Checks each field against its own bounds, so that a wrong value is named where it is set."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))


def _check(field: dataclasses.Field, value: Any) -> None:
    choices, low, high = (field.metadata.get(key) for key in ("choices", "minimum", "maximum"))
    if value is None or value == "full":
        return
    name = "--" + (field.metadata.get("flag") or field.name).replace("_", "-")
    if choices is not None and value not in choices:
        raise SettingError(f"{name} is {value!r}; choose one of {', '.join(choices)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise SettingError(f"{name} is {value}; a finite number is needed")
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"from {low} to {high}"
        raise SettingError(f"{name} is {value}; it may be {bounds}")


@dataclass(frozen=True, kw_only=True)
class DataConfig(_Checked):
    """Data and splits"""

    data: tuple[Path, ...] = option(
        (),
        "Folder per mood, CSV manifest, Emotify or 4Q; repeated, several data sets together. "
        "Without it, the demo clips.",
    )
    moods: str = option(
        "auto",
        "The moods in their order, with commas, or a set: three, five, quadrants. auto: what the "
        "data has; the study's three where every label fits them.",
        formerly="taxonomy",
    )
    soft_labels: bool = option(
        False, "Learn the listeners' vote shares instead of one mood a song."
    )
    fold: int = option(0, "Fold that is the test part.", minimum=0)
    num_folds: int = option(5, "Folds to make where the data brings none.", minimum=2)
    all_songs: bool = option(
        False, "Set no songs aside to test: for a model to give away, whose scores come from --cv."
    )
    validation_fraction: float = option(
        0.2,
        "Share of the songs outside the test part kept for validation.",
        minimum=0.0,
        maximum=0.9,
    )
    segment_seconds: Seconds = option(
        45.0, "Length of a segment in seconds, or 'full' for whole songs.", minimum=3.0
    )
    pieces: int = option(
        0,
        "Of a probe: hear a segment a song, joined from so many pieces spread over it; 0: all of "
        "the song.",
        minimum=0,
        maximum=100,
    )
    cache_dir: Path | None = option(
        None, "Folder of the decoded songs.  [default: the user's cache folder, or $MELODAI_CACHE]"
    )
    num_decoders: int | None = option(
        None, "Processes that decode files.  [default: number of cores]", minimum=1
    )
    allow_missing: bool = option(
        False, "Go on without files that are listed and not there, instead of stopping."
    )
    strict: bool = option(False, "Stop if any file cannot be used, instead of going on without it.")

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_moods(self.moods)
        data = (self.data,) if isinstance(self.data, str | Path) else self.data or ()
        object.__setattr__(self, "data", tuple(map(Path, data)))


@dataclass(frozen=True, kw_only=True)
class FrontEndConfig(_Checked):
    """Log-mel front end"""

    sample_rate: int = option(22050, "Sample rate in Hz.", minimum=4000)
    n_fft: int = option(2048, "Samples of one Fourier window.", minimum=64)
    hop_length: int = option(512, "Samples between two windows.", minimum=16)
    n_mels: int = option(128, "Mel bands.", minimum=8)
    f_min: float = option(0.0, "Lower edge of the mel bands in Hz.", minimum=0.0)
    # Below the low-pass of every usual codec, so that the encoding of a file does not show: mp3 at
    # 48 kbit/s mono ends at 10.0 kHz, at 32 kbit/s at 8.3 kHz. Nothing was lost by it on Emotify.
    f_max: float = option(8000.0, "Upper edge of the mel bands in Hz.", minimum=100.0)
    image_size: int = option(224, "Height and width of the log-mel picture.", minimum=32)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(_Checked):
    """Augmentation (training only; 0 switches one off)"""

    augment: bool = option(True, "Augment at all.")
    pitch_semitones: float = option(
        2.0, "Pitch moved by up to so many semitones.", minimum=0.0, maximum=12.0
    )
    tempo: float = option(
        0.1,
        "Tempo changed by up to this share (0.1: from 90 % to 110 %).",
        minimum=0.0,
        maximum=0.5,
    )
    gain_db: float = option(6.0, "Level changed by up to so many dB.", minimum=0.0, maximum=40.0)
    noise_probability: float = option(
        0.3, "Share of the segments given noise.", minimum=0.0, maximum=1.0
    )
    noise_min_snr_db: float = option(
        15.0, "Loudest noise: signal-to-noise ratio in dB.", maximum=100.0
    )
    noise_max_snr_db: float = option(
        40.0, "Softest noise: signal-to-noise ratio in dB.", maximum=100.0
    )
    lowpass_probability: float = option(
        0.5, "Share of the segments given a random low-pass.", minimum=0.0, maximum=1.0
    )
    lowpass_min_hz: float = option(4000.0, "Lowest cut-off of the low-pass in Hz.", minimum=100.0)
    equalizer_db: float = option(
        6.0, "Random equalisation: largest boost or cut in dB.", minimum=0.0, maximum=40.0
    )
    time_masks: int = option(2, "Time masks a picture.", minimum=0, maximum=20)
    time_mask_share: float = option(
        0.1, "Widest time mask as a share of the picture.", minimum=0.0, maximum=1.0
    )
    frequency_masks: int = option(2, "Frequency masks a picture.", minimum=0, maximum=20)
    frequency_mask_share: float = option(
        0.1, "Tallest frequency mask as a share of the picture.", minimum=0.0, maximum=1.0
    )
    rotation_degrees: float = option(
        0.0, "Picture rotated by up to so many degrees.", minimum=0.0, maximum=45.0
    )
    horizontal_shift: float = option(
        0.1, "Picture shifted in time by up to this share of its width.", minimum=0.0, maximum=0.5
    )
    vertical_shift: float = option(
        0.0,
        "Picture shifted in frequency by up to this share of its height.",
        minimum=0.0,
        maximum=0.5,
    )
    zoom: float = option(0.0, "Picture zoomed by up to this share.", minimum=0.0, maximum=0.5)
    brightness: float = option(
        0.1, "Contrast of the picture scaled by up to this share.", minimum=0.0, maximum=0.9
    )
    mixup_alpha: float = option(
        0.0, "Mixup: parameter of the Beta distribution; 0 is off.", minimum=0.0, maximum=10.0
    )


@dataclass(frozen=True, kw_only=True)
class ModelConfig(_Checked):
    """Model"""

    arch: str = option(
        "auto",
        "Network, see --list-archs; 'auto' picks by the number of songs. Pretrained ones can be "
        "joined for a probe: musicnn-msd+yamnet.",
    )
    mode: str = option(
        "auto",
        "train: all weights alike; finetune: a pretrained network, gently; probe: only a head on "
        "the frozen network; zero-shot: nothing, its own tags are read as moods. auto: probe for "
        "pretrained networks of sound, finetune for those of photographs, train for the others.",
        choices=("auto", "train", "finetune", "probe", "zero-shot"),
    )
    head: str = option(
        "auto",
        "Head of a probe: linear, mlp, svm, or ridge (kernel regression of the vote shares). auto "
        "chooses within the training songs.",
        choices=("auto", "linear", "mlp", "svm", "ridge"),
    )
    summaries: str = option(
        "auto",
        "What a probe reads of a network's values over a window: their mean, or their deviation "
        "too (all); auto chooses. The mean minds least where a window begins.",
        choices=("auto", "mean", "all"),
    )
    layers: str | None = option(
        None, "Layers of a pretrained network, joined by +.  [default: the network's own]"
    )
    dropout: float | None = option(
        None, "Dropout before the classes.  [default: the network's own]", minimum=0.0, maximum=0.9
    )

    init: str = option(
        RANDOM,
        "Weights that residual and advanced begin with: pretrained (those of the package, where it "
        "has some), random, or a run folder of melodai-pretrain.",
    )
    pooling: str = option(
        "dense",
        "melodai's own networks: the study's mean and dense layers, or mean and maximum of the "
        "last feature map.",
        choices=("dense", "mean-max"),
    )

    @property
    def layers_read(self) -> str | None:
        """The layers that are read: for zero-shot the one that says the network's own tags."""
        return TAG_LAYER if self.mode == "zero-shot" else self.layers


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(_Checked):
    """Training"""

    epochs: int = option(150, "Most epochs to train.", minimum=1)
    batch_size: int = option(16, "Segments a step, over all processes.", minimum=1)
    segments_per_track: int = option(1, "Random segments of each song an epoch.", minimum=1)
    segments_per_epoch: int = option(
        0, "At least so many segments an epoch, however few the songs.", minimum=0
    )
    optimizer: str = option("adam", "Optimizer.", choices=("adam", "adamw"))
    learning_rate: float = option(1e-3, "Learning rate at the start (after warm-up).", minimum=0.0)
    weight_decay: float = option(0.0, "Weight decay.", minimum=0.0)
    schedule: str = option(
        "plateau", "Halve the rate on a plateau of the validation loss, or warm-up and cosine.",
        choices=("plateau", "cosine"),
    )  # fmt: skip
    plateau_patience: int = option(
        7, "Epochs without a better validation loss before halving.", minimum=1
    )
    warmup_epochs: int = option(5, "Epochs of linear warm-up (cosine schedule).", minimum=0)
    early_stopping: int = option(
        30, "Epochs without a better validation accuracy before stopping; 0 never stops.", minimum=0
    )
    label_smoothing: float = option(0.1, "Label smoothing.", minimum=0.0, maximum=0.9)
    class_weights: bool = option(
        True, "Weigh moods, and data sets in each mood, by the inverse of their number of songs."
    )
    ema_decay: float = option(
        0.0, "Average the weights with this decay a step for validation; 0 is off.",
        minimum=0.0, maximum=0.99999,
    )  # fmt: skip
    backbone_rate: float = option(
        0.1, "Fine-tuning: learning rate of the pretrained layers as a share of the head's; 0: the "
        "head alone learns.",
        minimum=0.0, maximum=1.0,
    )  # fmt: skip
    unfreeze_epochs: int = option(
        3, "Fine-tuning: epochs until the next deeper part of the network learns too; 0: all do "
        "from the start.", minimum=0,
    )  # fmt: skip
    gradient_clip: float = option(5.0, "Largest norm of the gradient; 0 is off.", minimum=0.0)
    seed: int = option(0, "Seed of every random choice.", minimum=0)


@dataclass(frozen=True, kw_only=True)
class RunConfig(_Checked):
    """Machine and files"""

    device: str = option(
        "auto", "auto, cpu, cuda, cuda:1, mps; auto takes a GPU when there is one."
    )
    precision: str = option(
        "auto",
        "Arithmetic of training steps, auto is bfloat16 on CUDA; songs are evaluated in float32.",
        choices=("auto", "float32", "bfloat16"),
    )  # fmt: skip
    weights_dir: Path | None = option(
        None,
        "Folder of pretrained weights.  [default: $MELODAI_WEIGHTS, then the user's cache folder]",
    )
    offline: bool = option(False, "Never fetch pretrained weights from the network.")
    compile: bool = option(False, "Compile the network (GPU).")
    out: Path | None = option(None, "Run folder.  [default: runs/<time>-<arch>]")


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(_Checked):
    """Pretraining"""

    arch: str = option("residual", "Network to pretrain.", choices=("residual", "advanced"))
    teacher: str = option(
        "musicnn-msd", "Frozen networks to learn from, joined by +; see melodai-train --list-archs."
    )
    fold: int | None = option(
        None,
        "Fold of the labelled data that is neither heard nor asked for: the network can then be "
        "tested on it.  [default: none, hear all]",
        minimum=0,
    )
    num_folds: int = option(5, "Folds of the labelled data.", minimum=2)
    kept_share: float = option(
        0.05, "Share of the songs without labels kept aside.", minimum=0.0, maximum=0.9
    )
    window_seconds: float = option(
        3.0, "Length of a window in seconds: what the teachers hear at once.", minimum=1.0
    )
    max_speed: float = option(
        1.18, "Windows are played at up to so many times their speed, or slower.", minimum=1.0
    )
    equalizer_db: float = option(6.0, "Largest random boost or cut in dB.", minimum=0.0)
    mix_probability: float = option(
        0.5, "Share of the windows that another one is mixed into.", minimum=0.0, maximum=1.0
    )
    components: int = option(256, "Principal components of each teacher.", minimum=1)
    steps: int = option(20000, "Batches to learn from.", minimum=1)
    batch_size: int = option(32, "Windows a step.", minimum=2)
    learning_rate: float = option(2e-3, "Learning rate after warming up.", minimum=0.0)
    warmup_steps: int = option(200, "Steps of linear warm-up, before a cosine to 0.", minimum=0)
    weight_decay: float = option(0.05, "Weight decay (AdamW).", minimum=0.0)
    gradient_clip: float = option(2.0, "Largest norm of the gradient.", minimum=0.0)
    evaluate_every: int = option(250, "Steps between two looks at songs kept aside.", minimum=1)
    probe_every: int = option(1000, "Steps between two probes of the student.", minimum=1)
    patience: int = option(
        0, "Evaluations without a better one before stopping; 0 never stops.", minimum=0
    )
    precision: str = option(
        "auto", "Arithmetic of the student; auto is bfloat16 on CUDA, float32 elsewhere.",
        choices=("auto", "float32", "bfloat16"),
    )  # fmt: skip
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps.")
    seed: int = option(0, "Seed of every random choice.", minimum=0)
    weights_dir: Path | None = option(None, "Folder of the teachers' weights.")
    offline: bool = option(False, "Never fetch weights from the network.")
    cache_dir: Path | None = option(None, "Folder of the decoded songs.")
    num_decoders: int | None = option(None, "Processes that decode files.", minimum=1)
    out: Path | None = option(None, "Run folder.  [default: runs/<time>-pretrain-<arch>]")

    def to_json(self) -> str:
        """The settings as indented JSON, paths as text."""
        return json.dumps(dataclasses.asdict(self), indent=2, default=str) + "\n"


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a training run, by section."""

    data: DataConfig = DataConfig()
    frontend: FrontEndConfig = FrontEndConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    run: RunConfig = RunConfig()

    def with_options(self, **options: Any) -> "Config":
        """A copy with the named fields replaced, whatever section they stand in.

        Raises:
            SettingError: no section has a field of that name, or its value is not allowed.
        """
        sections = {}
        for section in dataclasses.fields(self):
            current = getattr(self, section.name)
            options = _with_present_names(type(current), options)
            names = {field.name for field in dataclasses.fields(current)}
            given = {name: options.pop(name) for name in names & options.keys()}
            sections[section.name] = dataclasses.replace(current, **given)
        if options:
            raise SettingError(f"unknown setting {', '.join(sorted(options))}")
        return Config(**sections)

    def to_json(self) -> str:
        """The settings as indented JSON, paths as text."""
        return json.dumps(dataclasses.asdict(self), indent=2, default=str) + "\n"

    def from_anywhere(self) -> "Config":
        """The same with absolute paths, so that it can be gone on with in any working folder."""
        places: dict[str, Any] = {
            name: path.expanduser().absolute()
            for name, path in (
                ("cache_dir", self.data.cache_dir), ("weights_dir", self.run.weights_dir)
            )
            if path is not None
        }  # fmt: skip
        if self.model.init not in (PRETRAINED, RANDOM):
            places["init"] = str(Path(self.model.init).expanduser().absolute())
        data = tuple(path.expanduser().absolute() for path in self.data.data)
        return self.with_options(data=data, **places)

    def hash(self) -> str:
        """Twelve digits, the same for the same settings, whatever the songs and the machine."""
        run = dataclasses.replace(
            self.run, out=None, weights_dir=None, offline=False, device=RunConfig.device
        )
        data = dataclasses.replace(
            self.data,
            data=(),
            cache_dir=None,
            num_decoders=None,
            strict=False,
            allow_missing=False,
        )
        same = dataclasses.replace(self, run=run, data=data)
        return hashlib.sha256(same.to_json().encode()).hexdigest()[:12]

    @classmethod
    def from_json(cls, text: str) -> "Config":
        """The settings written by `to_json`.

        Raises:
            SettingError: not such JSON, or a value that is not allowed.
        """
        try:
            values = json.loads(text)
            sections = {
                name: kind(**_as_paths(kind, values[name]))
                for name, kind in get_type_hints(cls).items()
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SettingError(f"not the settings of a run: {error}") from error
        return cls(**sections)


def _with_present_names(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """The values, with the present names of settings of this section that were called otherwise."""
    names = {field.metadata["formerly"]: field.name for field in dataclasses.fields(kind)}
    return {names.get(name, name): value for name, value in values.items()}


def _as_paths(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    values = _with_present_names(kind, values)
    hints = get_type_hints(kind)
    return {
        name: Path(value) if value is not None and hints.get(name) == Path | None else value
        for name, value in values.items()
    }
