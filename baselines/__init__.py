"""Pretrained baselines, registered beside melodai's own networks."""


def register() -> None:
    """Registers every baseline; called by the registry on its first look-up."""
