"""One channel that holds what a listener hears of several.

The mean of channels in opposite phase is silence, or what little differs between them. So each
channel is weighed by how it goes together with those louder than it: 1 as long as they do not
cancel, -1 where it is their inversion, about 0 between, where it would take away as much as it
brings. Bass is in phase on most recordings and outweighs all else; the weights are therefore the
mean of those of the whole sound and of its treble.
"""

import numpy as np

MEMORY = 0.8  # of the block before, in what the weights are taken from
TREBLE_HZ = 10_000  # x(t) - x(t - 1/10 ms) is loudest at half of it and loses 6 dB an octave below
RAMP_SAMPLES = 2048  # over which other weights come in
CORRELATION_KEPT = -0.2  # above it channels are merely different
MOST_LOST = 0.5  # of the power that unrelated channels would have in the mean


class Downmix:
    """Mixes blocks `(channel, time)` of one sound to `(time,)`, float32."""

    def __init__(self, num_channels: int, sample_rate: int) -> None:
        self._lag = max(1, sample_rate // TREBLE_HZ)
        shape = (2, num_channels, num_channels)
        self._recent, self._all = np.zeros(shape), np.zeros(shape)
        self._weights: np.ndarray | None = None
        self._offset: np.float32 | None = None

    def __call__(self, block: np.ndarray) -> np.ndarray:
        mixed = self._mixed(block)
        if self._offset is None:  # a sound that begins away from zero would begin with a click
            self._offset = mixed.mean()
        return mixed - self._offset

    def _mixed(self, block: np.ndarray) -> np.ndarray:
        if len(block) == 1:
            return block[0]
        treble = block[:, self._lag :] - block[:, : -self._lag]
        now = np.stack([_covariance(block), _covariance(treble)])
        self._all += now
        self._recent = MEMORY * self._recent + now
        before, weights = self._weights, _weights(self._recent)
        if before is not None and weights @ before < 0:
            weights = -weights  # the same mix, without a jump of its sign
        self._weights = weights
        mixed = _mix(weights, block)
        if before is not None and np.abs(weights - before).max() > 1e-3:
            ramp = np.linspace(1, 0, min(RAMP_SAMPLES, len(mixed)), dtype=np.float32)
            mixed[: len(ramp)] += ramp * _mix(before - weights, block[:, : len(ramp)])
        return mixed

    @property
    def is_out_of_phase(self) -> bool:
        """Whether the plain mean of the channels would have lost much of the sound."""
        power = np.trace(self._all, axis1=1, axis2=2)
        return bool((self._all.sum((1, 2)) < MOST_LOST * power).any())


def _mix(weights: np.ndarray, block: np.ndarray) -> np.ndarray:
    return (weights / len(block)).astype(np.float32) @ block


def _covariance(block: np.ndarray) -> np.ndarray:
    """Sums of products about the means: an offset says nothing about the phase."""
    mean = block.mean(axis=1, dtype=np.float64)
    return (block @ block.T).astype(np.float64) - block.shape[1] * np.outer(mean, mean)


def _weights(covariances: np.ndarray) -> np.ndarray:
    """The mean of what each covariance `(channel, channel)` says, the loudest channel's being 1."""
    order = np.argsort(-np.diagonal(covariances[0]), kind="stable")
    weights = np.zeros(covariances.shape[:2])
    weights[:, order[0]] = 1
    for own, covariance in zip(weights, covariances, strict=True):
        for channel in order[1:]:
            power = (own @ covariance @ own) * covariance[channel, channel]
            together = own @ covariance[channel] / np.sqrt(power) if power > 0 else 0.0
            slope = 2 / (1 + CORRELATION_KEPT)
            own[channel] = np.clip(1 + slope * (together - CORRELATION_KEPT), -1, 1)
    return weights.mean(axis=0)
