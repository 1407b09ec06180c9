"""Log-mel pictures and their augmentation, on the device of the tensors they are given."""

from melodai.lazy import public_names

__getattr__, __all__ = public_names(
    __name__,
    {
        "melodai.transforms.affine": ["Affine"],
        "melodai.transforms.augment": ["Augment", "AugmentDraw"],
        "melodai.transforms.base": ["RandomTransform", "WaveformTransform"],
        "melodai.transforms.brightness": ["Brightness"],
        "melodai.transforms.gain": ["Gain"],
        "melodai.transforms.masks": ["Masks"],
        "melodai.transforms.mel": ["LogMel", "SpectralChange"],
        "melodai.transforms.mixup": ["Mixup"],
        "melodai.transforms.noise": ["Noise"],
        "melodai.transforms.pitch_tempo": ["Pitch", "Tempo"],
        "melodai.transforms.pixels": ["Pixels"],
        "melodai.transforms.response": ["Equalizer", "LowPass"],
    },
)
