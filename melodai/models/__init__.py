"""The networks and the registry that names them."""

from melodai.models.base import Encoder, MoodModel
from melodai.models.registry import architectures, build_model, register_model

__all__ = ["Encoder", "MoodModel", "architectures", "build_model", "register_model"]
