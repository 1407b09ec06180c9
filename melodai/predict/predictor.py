"""From songs to moods: windows of many songs through the model in batches."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from melodai.audio import Hearing, from_samples
from melodai.bundle import ModelBundle
from melodai.data.cache import Failure
from melodai.data.excerpt import Samples, excerpts
from melodai.data.segments import evaluation_windows, samples_of
from melodai.data.waveforms import fill
from melodai.environment import find_device
from melodai.errors import AudioError, SettingError
from melodai.inference import infer_windows
from melodai.labels import AUTO
from melodai.metrics import at_temperature, pool_by_track, softmax
from melodai.predict.decoding import DecodedSong, SongAtHand, decoded_songs
from melodai.predict.results import UNSURE, SongMood, WindowMood
from melodai.zero_shot import open_model

BATCH_SIZE = 16
# A model of whole songs hears longer ones in pieces: its picture of a song has so many columns.
LONGEST_WINDOW_SECONDS = 900.0
SAMPLES_AT_ONCE = 1 << 26  # 268 MB of float32

Song = DecodedSong | SongAtHand


class Predictor:
    """Says the moods of songs. Called with waveforms it is the model itself.

    An answer depends on nothing but the song: not on the songs in the same batch, nor on the size
    of a batch beyond the last digits of float32.

    Args:
        device: auto, cpu, cuda, cuda:1, mps.
        precision: float32, in which models are calibrated, or bfloat16 for speed.
        batch_size: windows that go through the model together.
        num_decoders: processes that decode files; the number of cores where None.
        min_confidence: answers that are less probable than this are "unsure".
        hears_all: listen to all of each song, and know its moods over time, even where the model
            needs a few pieces only.

    Raises:
        SettingError: a value that cannot be used, or no such device here.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        *,
        device: str = "auto",
        precision: str = "float32",
        batch_size: int = BATCH_SIZE,
        num_decoders: int | None = None,
        min_confidence: float = 0.0,
        hears_all: bool = False,
    ) -> None:
        if precision not in ("float32", "bfloat16"):
            raise SettingError(f"precision {precision!r} is unknown; choose float32 or bfloat16")
        if batch_size < 1:
            raise SettingError(f"a batch size of {batch_size} is too small; choose 1 or more")
        if not 0 <= min_confidence <= 1:
            raise SettingError(f"a confidence of {min_confidence:g} is not between 0 and 1")
        self.bundle = bundle
        self.device = find_device(device)
        self.model = bundle.model.to(self.device).eval()
        self.precision = precision
        self.batch_size = batch_size
        self.num_decoders = num_decoders
        self.min_confidence = min_confidence
        self._segment_samples = samples_of(bundle.segment_seconds, self.sample_rate)
        self.pieces = 0 if hears_all or self._segment_samples is None else bundle.config.data.pieces

    @property
    def moods(self) -> tuple[str, ...]:
        """All that can be said of a song, without "unsure"."""
        return self.model.moods

    @property
    def sample_rate(self) -> int:
        """What the model hears, in Hz."""
        return self.model.sample_rate

    def __call__(self, waveform: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """`(batch, time)` in [-1, 1] at `sample_rate` -> `(batch, class)` logits of the model."""
        return self.model(waveform.to(self.device), num_samples)

    def predict(
        self, song: str | os.PathLike[str] | ArrayLike, sample_rate: int | None = None
    ) -> SongMood:
        """The mood of one song.

        Args:
            song: a file; or samples, `(time,)` or `(channel, time)`, of floats or integers.
            sample_rate: of samples, in Hz; the model's where None.

        Raises:
            AudioError: it cannot be listened to; the message says why.
        """
        if isinstance(song, str | os.PathLike):
            [answer] = self.predict_many([song])
        else:
            rate = sample_rate or self.sample_rate
            waveform, hearing = from_samples(np.asarray(song), rate, self.sample_rate)
            [answer] = self._answers([SongAtHand(waveform, hearing)], lambda: False)
        if isinstance(answer, Failure):
            raise AudioError(f"{answer.path}: {answer.reason}")
        return answer

    def predict_many(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[SongMood | Failure]:
        """The moods of files as they become known: in about the order given, not exactly.

        Memory grows neither with the number of the songs nor with their lengths. Files are decoded
        in processes of their own: one that crashes or hangs its decoder becomes a `Failure`.

        Args:
            is_stopped: once true, only songs that the model has at hand are finished.
        """
        paths = tuple(map(Path, paths))
        with decoded_songs(
            paths, self.sample_rate, pieces=self.pieces, segment_samples=self._segment_samples,
            num_decoders=self.num_decoders, is_stopped=is_stopped,
        ) as songs:  # fmt: skip
            yield from self._answers(songs, is_stopped)

    def _answers(
        self, songs: Iterable[Song | Failure], is_stopped: Callable[[], bool]
    ) -> Iterator[SongMood | Failure]:
        batch = _Batch(self.batch_size)
        for song in songs:
            if isinstance(song, Failure):
                yield song
                continue
            [samples] = excerpts([song], self.pieces, self._segment_samples)
            heard = _Heard(song, samples, self._windows(samples.num_samples))
            for window in heard.windows:
                if is_stopped():
                    break
                if not batch.has_room_for(window):
                    yield from self._run(batch)
                batch.add(heard, window)
            if is_stopped():
                break
        yield from self._run(batch)

    def _windows(self, num_samples: int) -> list[tuple[int, int]]:
        length = self._segment_samples
        if length is None:
            length = min(num_samples, round(LONGEST_WINDOW_SECONDS * self.sample_rate))
        return evaluation_windows(num_samples, length)

    def _run(self, batch: "_Batch") -> Iterator[SongMood | Failure]:
        """Empties the batch; the songs all of whose windows were heard."""
        if not batch.windows:
            return
        try:
            with torch.inference_mode():
                logits, embeddings = infer_windows(
                    self.model, *batch.waveforms(), self.device, self.precision
                )
        except torch.OutOfMemoryError as error:
            raise SettingError(
                f"{self.device} has no memory for {len(batch.windows)} windows at once; "
                "choose a smaller --batch-size"
            ) from error
        for (heard, _), row, embedding in zip(
            batch.windows, logits.double().numpy(), embeddings.double(), strict=True
        ):
            heard.logits.append(row)
            heard.embedding = heard.embedding + embedding
            if len(heard.logits) == len(heard.windows):
                heard.song.close()
                yield self._answer(heard)
        batch.windows.clear()

    def _answer(self, heard: "_Heard") -> SongMood | Failure:
        bundle, song = self.bundle, heard.song
        logits = np.stack(heard.logits)  # (window, class)
        if not np.isfinite(logits).all():
            return Failure(song.path, "the model's answer is not a number")
        pooled = pool_by_track(softmax(logits), np.zeros(len(logits)), 1, bundle.pooling)
        probabilities = at_temperature(pooled, bundle.temperature)[0]
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        return SongMood(
            file=song.path,
            mood=UNSURE if confidence < self.min_confidence else self.moods[best],
            confidence=confidence,
            moods=self.moods,
            probabilities=tuple(probabilities.tolist()),
            hearing=self._hearing(heard),
            unfamiliarity=self._unfamiliarity(heard),
            windows=() if self.pieces else self._window_moods(heard, logits),
            artist=song.artist,
            title=song.title,
        )

    def _hearing(self, heard: "_Heard") -> Hearing:
        if not self.pieces:
            return heard.song.hearing
        return heard.song.hearing._replace(seconds=heard.samples.num_samples / self.sample_rate)

    def _unfamiliarity(self, heard: "_Heard") -> float:
        if self.bundle.references is None:
            return float("nan")
        mean = (heard.embedding / len(heard.windows)).float()
        return float(self.bundle.references.unfamiliarity(mean[None])[0])

    def _window_moods(self, heard: "_Heard", logits: np.ndarray) -> tuple[WindowMood, ...]:
        probabilities = softmax(logits / self.bundle.segment_temperature)
        song, rate = heard.song, self.sample_rate
        return tuple(
            WindowMood(
                start_seconds=song.hearing.place(start / rate),
                end_seconds=song.hearing.place(
                    min(start + length, song.num_samples) / rate, is_end=True
                ),
                probabilities=tuple(row),
            )
            for (start, length), row in zip(heard.windows, probabilities.tolist(), strict=True)
        )


class _Heard:
    """A song, what is heard of it, and what the model has said so far."""

    def __init__(self, song: Song, samples: Samples, windows: list[tuple[int, int]]) -> None:
        self.song, self.samples, self.windows = song, samples, windows
        self.logits: list[np.ndarray] = []
        self.embedding = torch.zeros((), dtype=torch.float64)  # the windows' sum


class _Batch:
    """Windows (start, length) that go through the model together, of whatever songs."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.windows: list[tuple[_Heard, tuple[int, int]]] = []

    def has_room_for(self, window: tuple[int, int]) -> bool:
        longest = max(length for _, length in [window, *(other for _, other in self.windows)])
        count = len(self.windows) + 1
        return count == 1 or (count <= self._most and count * longest <= SAMPLES_AT_ONCE)

    def add(self, heard: _Heard, window: tuple[int, int]) -> None:
        self.windows.append((heard, window))

    def waveforms(self) -> tuple[Tensor, Tensor]:
        """int16 `(batch, time)`, zeros beyond a window's end, and the lengths `(batch,)`."""
        lengths = torch.tensor([length for _, (_, length) in self.windows])
        batch = torch.zeros(len(self.windows), int(lengths.max()), dtype=torch.int16)
        for row, (heard, (start, length)) in zip(batch.numpy(), self.windows, strict=True):
            fill(row[:length], heard.samples, start)
        return batch, lengths


def load(where: Path | str | None = None, *, moods: str = AUTO, **options) -> Predictor:
    """The model of a run folder, an exported folder or a checkpoint, ready to answer.

    Args:
        where: None is the model that comes with melodai.
        moods: which of those that come with melodai: `three`, the default, or `quadrants`.
        options: as `Predictor` takes them.

    Raises:
        CheckpointError: there is no model at that place, or it is damaged.
    """
    return Predictor(open_model(where, moods), **options)
