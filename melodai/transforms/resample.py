"""Changes of the sample rate, on the waveform's own device."""

from torch import Tensor

from melodai.errors import SettingError


def resample(waveform: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """A waveform at another sample rate.

    A Kaiser window of 64 zero crossings: what aliases or is lost lies within 6 % of the lower
    Nyquist frequency.

    Shape: `(batch, time)` -> `(batch, about time * target_rate / source_rate)`.

    Raises:
        SettingError: an empty waveform or one that is not `(batch, time)`.
    """
    if waveform.dim() != 2 or waveform.shape[1] == 0:
        raise SettingError(f"a waveform of shape {tuple(waveform.shape)}; (batch, time) is needed")
    if source_rate == target_rate:
        return waveform
    import torchaudio.functional

    return torchaudio.functional.resample(
        waveform, source_rate, target_rate,
        lowpass_filter_width=64, rolloff=0.9476, resampling_method="sinc_interp_kaiser", beta=14.77,
    )  # fmt: skip
