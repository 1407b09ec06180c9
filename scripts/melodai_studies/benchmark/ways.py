"""The tasks, and for each melodai's way first, then those of other packages."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from melodai.audio import decode
from melodai.config import AugmentConfig, FrontEndConfig
from melodai.models import MoodModel, build_model
from melodai.transforms.augment import Augment
from melodai.transforms.mel import LogMel
from melodai_studies.benchmark.timing import Way

LOG_MEL = "log-mel"
OURS = "melodai"
PITCHED = "melodai, with pitch and tempo"
NETWORK = "residual CNN: forward, backward, update"
FEATURES = "features: all augmentation and log-mel"
SLOW_ROUNDS = 3


def decode_ways(paths: Sequence[Path], sample_rate: int) -> list[Way]:
    """Files to samples at one rate."""
    import librosa

    def each(read) -> object:
        return lambda: [read(path) for path in paths]

    return [
        Way(
            task="decode",
            name="melodai (PyAV, soxr)",
            run=each(lambda path: decode(path, sample_rate)),
            num_clips=len(paths),
        ),
        Way(
            task="decode",
            name="librosa.load",
            run=each(lambda path: librosa.load(path, sr=sample_rate, res_type="soxr_hq")),
            num_clips=len(paths),
        ),
    ]


def log_mel_ways(clips: Tensor, settings: FrontEndConfig, seed: int) -> list[Way]:
    """Samples `(batch, time)` to log-mels; melodai's ways include the resize to a picture."""
    import librosa

    frontend = _frontend(settings)
    augment = Augment.from_config(_only_pitch_and_tempo(), settings)
    draw = augment.draw(len(clips), torch.Generator().manual_seed(seed))
    # Windows as the loader cuts them: as many samples longer or shorter as the tempo says.
    num_samples = (clips.shape[1] * draw.tempo).long()
    windows = F.pad(clips, (0, int(num_samples.max()) - clips.shape[1]), mode="circular")
    spectrogram, to_db = _torchaudio_log_mel(settings)
    return [
        Way(task=LOG_MEL, name=OURS, run=lambda: frontend(clips), num_clips=len(clips)),
        Way(
            task=LOG_MEL,
            name=PITCHED,
            run=lambda: frontend(windows, num_samples, draw),
            num_clips=len(clips),
        ),
        Way(
            task=LOG_MEL,
            name="torchaudio MelSpectrogram, AmplitudeToDB",
            run=lambda: to_db(spectrogram(clips)),
            num_clips=len(clips),
        ),
        Way(
            task=LOG_MEL,
            name="librosa melspectrogram, power_to_db",
            run=lambda: [
                librosa.power_to_db(_librosa_mel(clip, settings), ref=1.0) for clip in clips.numpy()
            ],
            num_clips=len(clips),
        ),
    ]


def slow_pitch_ways(clips: Tensor, settings: FrontEndConfig, seed: int) -> list[Way]:
    """Pitch and tempo as other packages change them, one clip at a time, then log-mels."""
    import librosa
    import torchaudio
    from torch_audiomentations import PitchShift

    spectrogram, to_db = _torchaudio_log_mel(settings)
    rate = settings.sample_rate
    clip = clips[:1]
    semitones = itertools.cycle((1, -2, 2, -1))
    tempos = itertools.cycle((0.9, 1.1))

    def with_librosa() -> object:
        moved = librosa.effects.pitch_shift(clip[0].numpy(), sr=rate, n_steps=next(semitones))
        moved = librosa.effects.time_stretch(moved, rate=next(tempos))
        return librosa.power_to_db(_librosa_mel(moved, settings), ref=1.0)

    shift = torchaudio.transforms.PitchShift(rate, 1)
    random_shift = PitchShift(-2.0, 2.0, p=1.0, sample_rate=rate, output_type="tensor")

    def with_torch_audiomentations() -> object:
        torch.manual_seed(seed)
        return to_db(spectrogram(random_shift(clip[:, None])[:, 0]))

    def with_torchaudio() -> object:
        with torch.no_grad():
            return to_db(spectrogram(shift(clip)))

    ways = {
        "librosa pitch_shift, time_stretch, melspectrogram": with_librosa,
        "torchaudio PitchShift, MelSpectrogram (no tempo)": with_torchaudio,
        "torch-audiomentations PitchShift, MelSpectrogram (no tempo)": with_torch_audiomentations,
    }
    return [
        Way(task=LOG_MEL, name=name, run=run, num_clips=1, max_rounds=SLOW_ROUNDS)
        for name, run in ways.items()
    ]


def training_ways(clips: Tensor, settings: FrontEndConfig, seed: int) -> list[Way]:
    """What a training step does: features with the default augmentation, then the network."""
    augment = Augment.from_config(AugmentConfig(), settings)
    draw = augment.draw(len(clips), torch.Generator().manual_seed(seed))
    num_samples = torch.full((len(clips),), clips.shape[1])
    model = build_model("residual", 3, frontend=settings)
    update = training_step(model)
    targets = torch.eye(3)[torch.arange(len(clips)) % 3]
    pictures = model.frontend(clips)

    def features() -> Tensor:
        changed = augment.waveform(clips, num_samples, draw)
        return augment.image(model.frontend(changed, num_samples, draw), draw)

    count = len(clips)
    return [
        Way(
            task="training step",
            name=NETWORK,
            run=lambda: update(pictures, targets),
            num_clips=count,
        ),
        Way(task="training step", name=FEATURES, run=features, num_clips=count),
    ]


def training_step(model: MoodModel):
    """`(pictures, targets)` -> loss, with one change of the weights."""
    optimizer = torch.optim.Adam(model.encoder.parameters(), fused=True)
    model.encoder.train().to(memory_format=torch.channels_last)

    def update(pictures: Tensor, targets: Tensor) -> Tensor:
        loss = F.cross_entropy(model.encoder(pictures), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return update


def _frontend(settings: FrontEndConfig) -> LogMel:
    return LogMel(**vars(settings))


def _only_pitch_and_tempo() -> AugmentConfig:
    return AugmentConfig(
        gain_db=0.0, noise_probability=0.0, lowpass_probability=0.0, equalizer_db=0.0,
        time_masks=0, frequency_masks=0, horizontal_shift=0.0, brightness=0.0,
    )  # fmt: skip


def _torchaudio_log_mel(settings: FrontEndConfig) -> tuple:
    from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

    spectrogram = MelSpectrogram(
        settings.sample_rate,
        settings.n_fft,
        hop_length=settings.hop_length,
        n_mels=settings.n_mels,
        f_min=settings.f_min,
        f_max=settings.f_max,
        pad_mode="constant",
        norm="slaney",
        mel_scale="slaney",
    )
    return spectrogram, AmplitudeToDB(top_db=80)


def _librosa_mel(waveform, settings: FrontEndConfig):
    import librosa

    return librosa.feature.melspectrogram(
        y=waveform,
        sr=settings.sample_rate,
        n_fft=settings.n_fft,
        hop_length=settings.hop_length,
        n_mels=settings.n_mels,
        fmin=settings.f_min,
        fmax=settings.f_max,
    )
