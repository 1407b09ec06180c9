"""Sounds that are no music, made: what a detector of music learns the rest of the world from.

Noises, machines, weather, animals and voices, each kind in several shapes and drawn from a seed, so
that the same sounds come again anywhere.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

PEAK = 0.8
VARIANTS = 4

Sound = NDArray[np.float64]
VOWELS_HZ = ((700, 1200, 2600), (300, 2200, 3000), (450, 800, 2500), (350, 900, 2300))


class Maker:
    """Makes sounds `(time,)` of a length at a sample rate.

    Args:
        variant: 0 to `VARIANTS` - 1, from low, slow or sparse to high, fast or dense.
    """

    def __init__(self, sample_rate: int, num_samples: int, variant: int) -> None:
        self.sample_rate, self.num_samples, self.variant = sample_rate, num_samples, variant
        self.random = np.random.default_rng(variant)
        self.seconds = np.arange(num_samples) / sample_rate
        self.hz = np.fft.rfftfreq(num_samples, 1 / sample_rate)

    def pick(self, *values: float) -> float:
        """The value for the variant."""
        return values[self.variant]

    def noise(self, slope: float = 0.0, low_hz: float = 0.0, high_hz: float = np.inf) -> Sound:
        """Noise whose power falls with the frequency to the power of `slope`, between two edges."""
        spectrum = np.fft.rfft(self.random.standard_normal(self.num_samples))
        spectrum *= np.maximum(self.hz, self.hz[1]) ** (-slope / 2)
        spectrum[(self.hz < low_hz) | (self.hz > high_hz)] = 0
        made = np.fft.irfft(spectrum, self.num_samples)
        return made / made.std()

    def tone(self, hz: float | Sound, num_harmonics: int = 1) -> Sound:
        """A sine, or a buzz of harmonics below the highest frequency, of constant or moving hz."""
        phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, self.num_samples)) / self.sample_rate
        count = max(1, min(num_harmonics, int(self.sample_rate / 2 / np.max(hz))))
        return sum(np.sin(n * phase) / n for n in range(1, count + 1))

    def events(self, a_second: float, length: float, shape: Callable[[Sound], Sound]) -> Sound:
        """Short sounds at random times, as `shape` makes one of `length` seconds."""
        made, size = np.zeros(self.num_samples), round(length * self.sample_rate)
        count = self.random.poisson(a_second * self.num_samples / self.sample_rate) + 1
        for start in self.random.integers(0, self.num_samples - size, count):
            piece = shape(np.arange(size) / self.sample_rate)
            made[start : start + size] += self.random.uniform(0.1, 1) * piece
        return made

    def voice(self) -> Sound:
        """Syllables of a buzzing source through three resonances, with hisses and pauses."""
        made, start = 1e-3 * self.noise(1), 0
        pitch = self.pick(95, 130, 190, 240)
        while start < self.num_samples:
            length = self.random.uniform(0.12, 0.35)
            size = min(round(length * self.sample_rate), self.num_samples - start)
            time = np.arange(size) / self.sample_rate
            glide = pitch * self.random.uniform(0.8, 1.25) * (1 - 0.4 * time)
            source = np.diff(np.floor(np.cumsum(glide) / self.sample_rate), prepend=0.0)
            if self.random.random() < 0.25:
                source = 0.1 * self.random.standard_normal(size)
            spectrum, hz = np.fft.rfft(source), np.fft.rfftfreq(size, 1 / self.sample_rate)
            peaks = VOWELS_HZ[self.random.integers(len(VOWELS_HZ))]
            spectrum *= sum(1 / (1 + ((hz - peak) / (60 + peak / 20)) ** 2) for peak in peaks)
            made[start : start + size] += np.fft.irfft(spectrum, size) * np.hanning(size)
            start += size + round(self.sample_rate * self.random.choice([0, 0.02, 0.06, 0.4]))
        return made


def _chirp(maker: Maker) -> Sound:
    def one(time: Sound) -> Sound:
        start, slope = maker.random.uniform(2000, 4500), maker.random.uniform(-8000, 8000)
        return np.exp(-time / 0.08) * np.sin(2 * np.pi * (start + slope * time) * time)

    return maker.events(maker.pick(1, 2, 4, 8), 0.3, one) + 0.01 * maker.noise(1)


def _dialling(maker: Maker) -> Sound:
    half_seconds = (2 * maker.seconds).astype(int)
    digits = maker.random.integers(0, 12, half_seconds[-1] + 1)[half_seconds]
    low, high = np.array([697, 770, 852, 941]), np.array([1209, 1336, 1477])
    is_on = 2 * maker.seconds % 1 < 0.5
    return is_on * (maker.tone(low[digits // 3]) + maker.tone(high[digits % 3]))


KINDS: dict[str, Callable[[Maker], Sound]] = {
    "white noise": lambda m: m.noise(),
    "pink noise": lambda m: m.noise(1),
    "brown noise": lambda m: m.noise(2),
    "band of noise": lambda m: m.noise(
        0, m.pick(200, 500, 1500, 4000), m.pick(400, 2000, 3000, 7000)
    ),
    "hiss": lambda m: m.noise(-0.5, m.pick(1000, 2000, 3000, 5000)),
    "wind": lambda m: m.noise(1.5, 20, 900) * (1.2 + m.tone(m.pick(0.05, 0.1, 0.2, 0.3))),
    "pulses of noise": lambda m: m.noise() * (m.tone(m.pick(1, 3, 8, 20)) > 0),
    "hum": lambda m: m.tone(m.pick(50, 60, 100, 120), 20) + 0.01 * m.noise(),
    "tone": lambda m: m.tone(m.pick(220, 440, 1000, 3000)) + 1e-3 * m.noise(),
    "siren": lambda m: m.tone(800 * 2 ** m.tone(m.pick(0.1, 0.3, 1, 3))),
    "buzzer": lambda m: (
        np.sign(m.tone(m.pick(80, 150, 300, 600))) * (m.tone(m.pick(1, 2, 0.5, 4)) > 0)
    ),
    "engine": lambda m: (
        m.tone(m.pick(25, 40, 60, 90) * (1 + 0.05 * m.tone(0.2)), 40) + 0.2 * m.noise(1)
    ),
    "dialling": _dialling,
    "clicks": lambda m: m.events(
        m.pick(1, 4, 20, 100), 0.02, lambda t: np.exp(-t / 0.003) * np.sin(2 * np.pi * 1500 * t)
    ) + 1e-3 * m.noise(),
    "rain": lambda m: m.events(
        m.pick(100, 200, 400, 800), 0.02,
        lambda t: np.exp(-t / 0.002) * m.random.standard_normal(len(t)),
    ) + 0.02 * m.noise(1),
    "chirps": _chirp,
    "voice": Maker.voice,
}  # fmt: skip


def not_music(sample_rate: int, num_samples: int) -> Iterator[NDArray[np.float32]]:
    """Every kind in every variant, `(time,)` each, with one peak.

    >>> len(list(not_music(16000, 16000))) == VARIANTS * len(KINDS)
    True
    """
    for make in KINDS.values():
        for variant in range(VARIANTS):
            made = make(Maker(sample_rate, num_samples, variant))
            yield (PEAK / np.abs(made).max() * made).astype(np.float32)
