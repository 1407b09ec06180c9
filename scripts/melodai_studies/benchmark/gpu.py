"""What a GPU does in a second."""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from melodai.config import AugmentConfig, FrontEndConfig
from melodai.models import build_model
from melodai.transforms.augment import Augment
from melodai_studies.benchmark.ways import training_step


class Rate(NamedTuple):
    """Clips a second of one piece of work."""

    work: str
    clips_per_second: float
    milliseconds_per_batch: float


def measure_rates(
    clips: Tensor,
    settings: FrontEndConfig,
    seed: int,
    *,
    device: torch.device,
    batch_size: int = 256,
    rounds: int = 20,
) -> list[Rate]:
    """Log-mel, features and training step on the device, from a corpus that lies on it.

    Args:
        clips: float32 `(clip, time)` on the CPU.
    """
    corpus = (clips * 32767).round().short().to(device)
    rows = torch.arange(batch_size, device=device) % len(corpus)
    num_samples = torch.full((batch_size,), clips.shape[1], device=device)
    model = build_model("residual", 3, frontend=settings).to(device)
    augment = Augment.from_config(AugmentConfig(), settings)
    draw = augment.draw(batch_size, torch.Generator().manual_seed(seed)).to(device)
    update = training_step(model)
    targets = torch.eye(3, device=device)[torch.arange(batch_size, device=device) % 3]

    @torch.no_grad()
    def gather() -> Tensor:
        return corpus[rows].float().mul_(1 / 32768)

    waveform = gather()

    @torch.no_grad()
    def log_mel() -> Tensor:
        return model.frontend(waveform, num_samples)

    @torch.no_grad()
    def features() -> Tensor:
        changed = augment.waveform(gather(), num_samples, draw)
        return augment.image(model.frontend(changed, num_samples, draw), draw)

    def network(pictures: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return update(pictures, targets)

    pictures = log_mel()
    work = {
        "log-mel": log_mel,
        "log-mel of samples gathered from the corpus": lambda: model.frontend(gather()),
        "features: all augmentation and log-mel": features,
        "residual CNN in bfloat16: forward, backward, update": lambda: network(pictures),
        "whole training step": lambda: network(features()),
    }
    rates = []
    for name, run in work.items():
        seconds = _seconds(run, device, rounds)
        rates.append(Rate(name, batch_size / seconds, 1e3 * seconds))
    return rates


def _seconds(run: Callable[[], Tensor], device: torch.device, rounds: int) -> float:
    """Mean time of a run; the device is waited for before and after all of them."""
    for count in (3, rounds):  # the first three warm up
        _wait(device)
        began = time.perf_counter()
        for _ in range(count):
            run()
        _wait(device)
    return (time.perf_counter() - began) / rounds


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
