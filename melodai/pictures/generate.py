"""Step "make the spectrograms" of the study: segments of songs and augmented copies as pictures."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from melodai.config import AugmentConfig, DataConfig, FrontEndConfig
from melodai.data.cache import Failure, build_cache
from melodai.data.corpus import Corpus, join
from melodai.data.library import read_library
from melodai.data.loader import batch_seed
from melodai.data.picture_folders import MANIFEST
from melodai.data.segments import samples_of
from melodai.data.waveforms import fill
from melodai.errors import DataError, SettingError
from melodai.file_names import safe_name
from melodai.files import replace_file, replace_text
from melodai.models.base import log_mel_frontend
from melodai.pictures import IMAGE_SIZE, NUM_COPIES, NUM_SEGMENTS
from melodai.transforms.augment import Augment
from melodai.transforms.mel import LogMel

MOST_NAME_BYTES = 150
_COLUMNS = ("picture", "mood", "song", "artist", "segment", "copy", "start_seconds", "seconds")

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What was written.

    Attributes:
        pictures: names below the folder, those of one song together.
        num_songs: songs in them.
        failures: songs that cannot be used, and why.
        warnings: sentences for the user.
    """

    pictures: tuple[str, ...]
    num_songs: int
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]


def generate_pictures(
    data: DataConfig,
    out: Path,
    *,
    augment: AugmentConfig,
    num_segments: int = NUM_SEGMENTS,
    num_copies: int = NUM_COPIES,
    image_size: int = IMAGE_SIZE,
    seed: int = 0,
    on_progress: OnProgress = lambda done, total: None,
) -> Generated:
    """Writes `<mood>/<song>__seg<k>.png` and `…__aug<n>.png`, and `manifest.csv`.

    The pictures are grey log-mels, low frequencies at the bottom, white the loudest point of the
    segment and black 80 dB below it. Song, artist, place, length and sample rate stand in the PNG's
    text, so that a split need not part what belongs together. The same song, settings and seed
    give the same picture, whatever else is in the library. Nothing is deleted.

    Args:
        data: any library of songs, and the length of a segment.
        augment: changes of the pictures in the copies.
        num_segments: of a song, evenly spaced from its start to its end; one of a song no longer
            than a segment.
        num_copies: augmented copies of each segment.
        image_size: pixels a side.

    Raises:
        DataError: there are no songs, or none can be used.
        SettingError: whole songs are asked for, or changes that pictures cannot have.
        MelodaiError: the folder cannot be written to.
    """
    frontend = FrontEndConfig(image_size=image_size)
    length = samples_of(data.segment_seconds, frontend.sample_rate)
    if length is None:
        raise SettingError("--segment-seconds full: a picture needs segments of one length")
    if augment.pitch_semitones or augment.tempo:
        raise SettingError("pitch and tempo are changes of the sound; copies are of pictures")
    corpus = _songs(data, frontend.sample_rate)
    painter = Painter(log_mel_frontend(frontend), Augment.from_config(augment, frontend), seed)
    names, rows = _names(corpus), []
    for index, (track, entry, name) in enumerate(
        zip(corpus.tracks, corpus.entries, names, strict=True)
    ):
        for number, start in enumerate(starts_of(entry.num_samples, length, num_segments)):
            waveform = np.empty(length, np.int16)
            fill(waveform, entry, start)
            about = {
                "mood": track.mood, "song": track.name, "artist": track.artist or "",
                "segment": number, "start_seconds": round(start / corpus.sample_rate, 3),
                "seconds": round(length / corpus.sample_rate, 3),
            }  # fmt: skip
            for copy, picture in enumerate(
                painter.draw(torch.from_numpy(waveform), num_copies, f"{track.name} {number}")
            ):
                ending = f"__seg{number}" + (f"__aug{copy}" if copy else "")
                row = {
                    "picture": f"{safe_name(track.mood)}/{name}{ending}.png",
                    **about,
                    "copy": copy,
                }
                _write(out / row["picture"], picture, row, frontend)
                rows.append(row)
        on_progress(index + 1, len(names))
    table = io.StringIO()
    writer = csv.DictWriter(table, _COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    replace_text(out / MANIFEST, table.getvalue())
    return Generated(
        pictures=tuple(row["picture"] for row in rows), num_songs=len(names),
        failures=corpus.failures, warnings=corpus.warnings,
    )  # fmt: skip


class Painter:
    """Draws segments: `(time,)` int16 to grey pictures, the first as it is, the others changed."""

    def __init__(self, log_mel: LogMel, augment: Augment, seed: int) -> None:
        self._log_mel, self._augment, self._seed = log_mel, augment, seed

    def draw(self, waveform: Tensor, num_copies: int, place: str) -> list[np.ndarray]:
        """uint8 `(height, width)`, the highest band first; `place` decides the random changes."""
        generator = torch.Generator().manual_seed(batch_seed(self._seed, place))
        # One draw after the other, so that more copies do not change the first ones.
        draws = [self._augment.draw(1, generator) for _ in range(num_copies)]
        sound = waveform[None].float() / 32768
        with torch.no_grad():
            plain = self._log_mel(sound)
            pictures = [plain, *(self._augment.image(plain, draw) for draw in draws)]
        return [
            ((picture[0, 0].clamp(-1, 1) + 1) * 127.5).round().byte().numpy()[::-1]
            for picture in pictures
        ]


def starts_of(num_samples: int, length: int, num_segments: int) -> list[int]:
    """First samples of evenly spaced segments; no more of them than cover the song.

    >>> starts_of(90, 45, 2), starts_of(60, 45, 2), starts_of(30, 45, 2), starts_of(100, 40, 1)
    ([0, 45], [0, 15], [0], [30])
    """
    count = max(1, min(num_segments, -(-num_samples // length)))
    last = max(0, num_samples - length)
    return [round(last * n / (count - 1)) for n in range(count)] if count > 1 else [last // 2]


def _songs(data: DataConfig, sample_rate: int) -> Corpus:
    library = read_library(data)
    if library.holds_pictures:
        raise DataError(f"{library.root} holds pictures already; give a folder of songs")
    report = build_cache(
        [track.path for track in library.tracks], sample_rate=sample_rate,
        cache_dir=data.cache_dir, num_decoders=data.num_decoders,
    )  # fmt: skip
    corpus = join(library, report, sample_rate, strict=data.strict)
    if not corpus.tracks:
        reasons = "".join(f"\n  {one.path.name}: {one.reason}" for one in corpus.failures[:10])
        raise DataError(f"{library.root}: none of the files can be used{reasons}")
    return corpus


def _names(corpus: Corpus) -> list[str]:
    """A file name for each song: its own, with a digest where two would have the same."""
    stems = [_short(PurePosixPath(track.name).stem) for track in corpus.tracks]
    moods = [track.mood for track in corpus.tracks]
    # Without regard to case, for some file systems have none.
    counts = Counter((mood, stem.casefold()) for mood, stem in zip(moods, stems, strict=True))
    return [
        stem
        if counts[mood, stem.casefold()] == 1
        else f"{stem}~{hashlib.sha256(track.name.encode('utf-8', 'replace')).hexdigest()[:8]}"
        for track, mood, stem in zip(corpus.tracks, moods, stems, strict=True)
    ]


def _short(stem: str) -> str:
    content = stem.encode("utf-8", "replace")
    if len(content) <= MOST_NAME_BYTES:
        return content.decode()
    digest = hashlib.sha256(content).hexdigest()[:8]
    return f"{content[:MOST_NAME_BYTES].decode('utf-8', 'ignore')}~{digest}"


def _write(
    path: Path, picture: np.ndarray, row: dict[str, object], frontend: FrontEndConfig
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = PngImagePlugin.PngInfo()
    for key, value in row.items():
        text.add_itxt(f"melodai {key}", _plain(value))
    text.add_itxt("melodai sample_rate", str(frontend.sample_rate))
    text.add_itxt(
        "Description",
        f"log-mel spectrogram, {frontend.n_mels} bands from {frontend.f_min:g} to "
        f"{frontend.f_max:g} Hz, white is the loudest point, black 80 dB below it",
    )
    image = Image.fromarray(np.ascontiguousarray(picture))
    replace_file(path, lambda file: image.save(file, "PNG", pnginfo=text))


def _plain(value: object) -> str:
    """Text for a PNG, which is UTF-8 without zeros."""
    return str(value).encode("utf-8", "replace").decode().replace("\0", "")
