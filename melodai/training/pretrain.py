"""Pretraining without labels: a network learns to say what frozen teachers say of the same sound.

Teacher and student hear the same variant of each window, the teacher is asked anew each time, and
no window comes twice. Everything random in a step follows from (seed, step), so that a run that was
killed and resumed ends in the same weights.

Source: Ding and Lerch, "Audio embeddings as teachers for music classification", ISMIR 2023; Beyer
et al., "Knowledge distillation: a good teacher is patient and consistent", CVPR 2022.
"""

import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from melodai.checkpoint import LAST, save_checkpoint
from melodai.config import FrontEndConfig, PretrainConfig
from melodai.data.loader import batch_seed
from melodai.data.store import CachedTrack
from melodai.files import replace_file
from melodai.inference import network_precision
from melodai.interrupt import Interrupted, Wish
from melodai.models import MoodModel
from melodai.models.initial import WEIGHTS, initial_state
from melodai.training.history import write_history
from melodai.training.monitor import Monitor
from melodai.training.teacher import LabelledSongs, Targets, fit_targets
from melodai.transforms.variants import Variants

logger = logging.getLogger(__name__)

SILENT = 1e-3  # of full scale, root mean square of a window
TRIES = 4  # places of a song that are tried for a window that is not silent
WINDOWS_AT_ONCE = 32
PROBE_WINDOWS = 6  # of a song, for statistics and for probes of the student
STUDENT_PROBE_STRENGTH = 0.01  # scikit-learn's C


@dataclass(frozen=True)
class Music:
    """All songs that are heard, and what is known of some.

    Attributes:
        entries: decoded songs.
        folds: `(song,)` fold of each labelled song, -1 for the others.
        labelled: the data sets whose moods are known.
        kept: `(song,)` bool, never learned from.
    """

    entries: Sequence[CachedTrack]
    folds: np.ndarray
    labelled: Sequence[LabelledSongs]
    kept: np.ndarray

    def heard(self) -> dict[str, Any]:
        """What is learned from: contents of songs without labels, numbers of labelled ones."""
        return {
            "unlabelled": sorted(self.entries[i].key for i in self.train if self.folds[i] < 0),
            "labelled": {one.name: int((~self.kept[one.rows]).sum()) for one in self.labelled},
        }

    @property
    def train(self) -> np.ndarray:
        """Songs to learn from."""
        return np.flatnonzero(~self.kept)

    @property
    def partners(self) -> np.ndarray:
        """Songs that may be mixed into others: those whose mood nobody was asked for."""
        unlabelled = np.flatnonzero(~self.kept & (self.folds < 0))
        return unlabelled if len(unlabelled) else self.train


class Pretrainer:
    """Trains a network to predict the targets, and looks at songs kept aside.

    Args:
        student: network with `pooling="mean-max"`; its classes are replaced by the targets.
        teachers: models whose embeddings are asked for.
        run: the run folder, which exists.
        stop: asks to save and stop.
    """

    def __init__(
        self,
        *,
        student: MoodModel,
        teachers: Sequence[MoodModel],
        music: Music,
        config: PretrainConfig,
        device: torch.device,
        run: Path,
        monitor: Monitor,
        stop: Wish,
    ) -> None:
        self.teachers = [teacher.to(device).eval().requires_grad_(False) for teacher in teachers]
        self.student, self.music, self.config, self.device = student, music, config, device
        self.run, self.monitor, self.stop = run, monitor, stop
        self.variants = Variants(
            seconds=config.window_seconds,
            sample_rate=student.sample_rate,
            max_speed=config.max_speed,
            equalizer_db=config.equalizer_db,
            mix_probability=config.mix_probability,
        )
        self.rates = [student.sample_rate, *(teacher.sample_rate for teacher in teachers)]
        self.step, self.history, self.seconds = 0, [], 0.0
        self.best, self.stale = math.inf, 0
        self.targets: Targets | None = None

    # -- what is heard ---------------------------------------------------------------------------

    def window(self, song: int, num_samples: int, places: Tensor) -> Tensor:
        """`(num_samples,)` from the first of some places, in [0, 1), that is not silent."""
        entry = self.music.entries[song]
        count = min(num_samples, entry.num_samples)
        for place in places.tolist():
            start = int(place * (entry.num_samples - count + 1))
            samples = torch.from_numpy(entry.read(start, count)).float() / 32768
            if samples.square().mean().sqrt() > SILENT:
                break
        return samples.repeat(-(-num_samples // count))[:num_samples]

    def batch(self, step: int) -> tuple[list[Tensor], Tensor]:
        """Variants at each network's sample rate, and the probe that each song is asked through."""
        generator = torch.Generator().manual_seed(batch_seed(self.config.seed, "batch", step))
        size = self.config.batch_size
        train, partners = self.music.train, self.music.partners
        songs = train[torch.randint(len(train), (size,), generator=generator).numpy()]
        seconds = partners[torch.randint(len(partners), (size,), generator=generator).numpy()]
        places = torch.rand(size, 2, TRIES, generator=generator)
        draw = self.variants.sample(size, generator)
        sources = []
        for i in range(size):
            lengths = [self.variants.source_samples(speed) for speed in draw.speed[i].tolist()]
            first = self.window(songs[i], lengths[0], places[i, 0])
            is_mixed = bool(draw.share[i] < 1)
            second = self.window(seconds[i], lengths[1], places[i, 1]) if is_mixed else None
            sources.append((first, second))
        return self.variants.apply(sources, draw, self.rates), self.probe_of(songs)

    def probe_of(self, songs: np.ndarray) -> Tensor:
        """Songs without a label are asked through the last probe, which has seen every fold."""
        folds = torch.from_numpy(self.music.folds[songs])
        return torch.where(folds < 0, self.config.num_folds, folds)

    def clean_windows(self, songs: Sequence[int], count: int) -> list[tuple[int, float]]:
        """(song, place) of evenly spread windows."""
        return [(song, (k + 0.5) / count) for song in songs for k in range(count)]

    def clean(self, windows: Sequence[tuple[int, float]], rates: Sequence[int]) -> list[Tensor]:
        """Unchanged windows at the sample rates."""
        length = self.variants.source_samples(1.0)
        sources = [(self.window(song, length, torch.tensor([at])), None) for song, at in windows]
        return self.variants.apply(sources, self.variants.unchanged(len(windows)), rates)

    # -- the teachers ----------------------------------------------------------------------------

    @torch.inference_mode()
    def ask(self, waveforms: Sequence[Tensor]) -> list[Tensor]:
        """What each teacher says of waveforms at its own rate: `(batch, size)` each."""
        pairs = zip(self.teachers, waveforms, strict=True)
        return [teacher.embed(waveform.to(self.device)).cpu() for teacher, waveform in pairs]

    def prepare_targets(self) -> None:
        """Asks the teachers about unchanged windows of every song; fits what the student learns."""
        windows = self.clean_windows(range(len(self.music.entries)), PROBE_WINDOWS)
        said: list[list[Tensor]] = []
        for start in range(0, len(windows), WINDOWS_AT_ONCE):
            said.append(
                self.ask(self.clean(windows[start : start + WINDOWS_AT_ONCE], self.rates[1:]))
            )
            self.monitor.embedding(min(start + WINDOWS_AT_ONCE, len(windows)), len(windows))
            self.stop_if_asked()
        embeddings = [torch.cat(parts) for parts in zip(*said, strict=True)]
        self.targets = fit_targets(
            embeddings,
            [song for song, _ in windows],
            self.music.labelled,
            num_components=self.config.components,
            num_folds=self.config.num_folds,
            left_out=self.config.fold,
        )

    def prepare_student(self) -> None:
        """Gives the student its outputs, begun at zero, and the optimizer its weights."""
        assert self.targets is not None
        encoder = self.student.encoder
        size = self.targets.num_layers + self.targets.num_moods
        encoder.classifier = nn.Linear(encoder.embedding_size, size)
        nn.init.zeros_(encoder.classifier.weight)
        nn.init.zeros_(encoder.classifier.bias)
        encoder.to(self.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(
            encoder.parameters(), self.config.learning_rate, weight_decay=self.config.weight_decay
        )

    # -- training --------------------------------------------------------------------------------

    def fit(self) -> None:
        """Trains to the last step, or until the songs kept aside are no better for long.

        Raises:
            Interrupted: stopped by a signal, after saving.
        """
        config = self.config
        self.save()
        writer = SummaryWriter(str(self.run), purge_step=self.step + 1, flush_secs=10)
        try:
            while self.step < config.steps and not (
                config.patience and self.stale >= config.patience
            ):
                self.train_until_evaluation(writer)
        finally:
            writer.close()

    def train_until_evaluation(self, writer: SummaryWriter) -> None:
        """Some steps, then a look at the songs kept aside."""
        began, losses = time.perf_counter(), []
        self.student.encoder.train()
        while True:
            losses.append(self.train_step())
            self.step += 1
            self.monitor.working("pretraining", self.step, self.config.steps)
            if self.step % self.config.evaluate_every == 0 or self.step == self.config.steps:
                break
            self.stop_if_asked()
        seconds = time.perf_counter() - began
        row = {"step": self.step, "learning_rate": self.optimizer.param_groups[0]["lr"]}
        row["windows_per_second"] = len(losses) * self.config.batch_size / seconds
        means = torch.stack(losses).mean(0).tolist()
        row |= dict(
            zip(("unexplained/layers_train", "unexplained/moods_train"), means, strict=True)
        )
        row |= self.evaluate()
        if self.step % self.config.probe_every == 0 or self.step == self.config.steps:
            row |= self.probe()
        self.seconds += time.perf_counter() - began
        row["seconds"] = self.seconds
        for name, value in row.items():
            writer.add_scalar(name, value, self.step)
        self.history.append(row)
        columns = dict.fromkeys(name for one in self.history for name in one)
        rows = [{name: one.get(name, "") for name in columns} for one in self.history]
        write_history(self.run / "history.csv", rows)
        score = sum(value for name, value in row.items() if name.startswith("unexplained_kept/"))
        self.stale = 0 if score < self.best else self.stale + 1
        self.best = min(self.best, score)
        self.save()
        text = "  ".join(f"{name} {value:.4g}" for name, value in row.items())
        self.monitor.message(text)

    def train_step(self) -> Tensor:
        """One batch of variants; returns the shares left unexplained, `(layers, moods)`."""
        self.set_learning_rate()
        waveforms, probe = self.batch(self.step)
        layers, moods = self.targets(self.ask(waveforms[1:]), probe)
        torch.manual_seed(batch_seed(self.config.seed, "step", self.step))
        said_layers, said_moods = self.say(waveforms[0])
        losses = torch.stack([squared_error(said_layers, layers.to(self.device)),
                              squared_error(said_moods, moods.to(self.device))])  # fmt: skip
        self.optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()
        nn.utils.clip_grad_norm_(self.student.encoder.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        return losses.detach()

    def say(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """The student's layers and moods."""
        with torch.no_grad():
            features = self.student.frontend(waveform.to(self.device))
        with network_precision(self.device, self.config.precision):
            said = self.student.encoder(features)
        split = [self.targets.num_layers, self.targets.num_moods]
        layers, moods = said.float().split(split, dim=1)
        return layers, moods

    def set_learning_rate(self) -> None:
        """Linear warm-up, then half a cosine down to zero."""
        config, warmup = self.config, min(self.config.warmup_steps, self.config.steps)
        rate = min(1.0, (self.step + 1) / max(1, warmup))
        done = max(0, self.step - warmup) / max(1, config.steps - warmup)
        rate *= 0.5 * (1 + math.cos(math.pi * done))
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * rate

    # -- songs kept aside ------------------------------------------------------------------------

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """Share of the variance left unexplained on songs never learned from, set by set."""
        self.student.encoder.eval()
        found = {}
        for name, songs in self.kept_sets().items():
            errors, all_targets = [], []
            windows = self.clean_windows(songs, 2)
            for start in range(0, len(windows), WINDOWS_AT_ONCE):
                some = windows[start : start + WINDOWS_AT_ONCE]
                waveforms = self.clean(some, self.rates)
                probe = self.probe_of(np.array([song for song, _ in some]))
                targets = torch.cat(self.targets(self.ask(waveforms[1:]), probe), 1)
                said = torch.cat(self.say(waveforms[0]), 1).cpu()
                errors.append((said - targets).square())
                all_targets.append(targets)
            error, targets = torch.cat(errors).mean(0), torch.cat(all_targets)
            variance = targets.var(0, unbiased=False)
            num = self.targets.num_layers
            parts = {"layers": slice(0, num), "moods": slice(num, None)}
            for part, columns in parts.items():
                if variance[columns].numel():
                    share = error[columns].sum() / variance[columns].sum()
                    found[f"unexplained_kept/{part}_{name}"] = share.item()
        return found

    def kept_sets(self) -> dict[str, np.ndarray]:
        """Songs kept aside, by where they come from."""
        kept = np.flatnonzero(self.music.kept)
        sets = {"unlabelled": kept[self.music.folds[kept] < 0]}
        for one in self.music.labelled:
            sets[one.name] = np.intersect1d(kept, one.rows)
        return {name: songs for name, songs in sets.items() if len(songs)}

    @torch.inference_mode()
    def probe(self) -> dict[str, float]:
        """How well moods of the fold left out can be read off the frozen student, set by set."""
        found: dict[str, float] = {}
        if self.config.fold is None:
            return found
        self.student.encoder.eval()
        for one in self.music.labelled:
            embeddings = self.student_embeddings(one.rows)
            test = one.folds == self.config.fold
            x = (embeddings - embeddings[~test].mean(0)) / embeddings[~test].std(0).clip(1e-6)
            probe = LogisticRegression(
                C=STUDENT_PROBE_STRENGTH, class_weight="balanced", max_iter=2000
            )
            said = probe.fit(x[~test], one.moods[~test]).predict(x[test])
            found[f"probe/accuracy_{one.name}"] = float((said == one.moods[test]).mean())
            found[f"probe/macro_f1_{one.name}"] = float(
                f1_score(one.moods[test], said, average="macro")
            )
        return found

    def student_embeddings(self, songs: Sequence[int]) -> np.ndarray:
        """Mean and deviation over each song's windows, `(song, 2 * embedding_size)`."""
        windows = self.clean_windows(songs, PROBE_WINDOWS)
        parts = []
        for start in range(0, len(windows), WINDOWS_AT_ONCE):
            (waveform,) = self.clean(windows[start : start + WINDOWS_AT_ONCE], self.rates[:1])
            with network_precision(self.device, self.config.precision):
                features = self.student.frontend(waveform.to(self.device))
                parts.append(self.student.encoder.embed(features).float().cpu())
        values = torch.cat(parts).unflatten(0, (-1, PROBE_WINDOWS))
        return torch.cat([values.mean(1), values.std(1)], 1).double().numpy()

    # -- files -----------------------------------------------------------------------------------

    def stop_if_asked(self) -> None:
        """Saves and stops where a signal has come."""
        if self.stop.signal_number is not None:
            if self.targets is not None:
                self.save()
            raise Interrupted(self.stop.signal_number)

    def save(self) -> None:
        """Everything needed to go on exactly."""
        save_checkpoint(
            self.run / LAST,
            {
                "config": self.config.to_json(),
                "targets": self.targets.state_dict(),
                "sizes": self.targets.sizes,
                "probes": tuple(self.targets.probe_bias.shape),
                "encoder": self.student.encoder.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "progress": {
                    "step": self.step, "history": self.history, "seconds": self.seconds,
                    "best": self.best, "stale": self.stale,
                },
            },
        )  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        """Takes up where `save` left off."""
        self.targets = Targets([tuple(size) for size in state["sizes"]], tuple(state["probes"]))
        self.targets.load_state_dict(state["targets"])
        self.prepare_student()
        self.student.encoder.load_state_dict(state["encoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        vars(self).update(state["progress"])


def squared_error(said: Tensor, targets: Tensor) -> Tensor:
    """Summed over the targets, whose variances sum to one, and averaged over the batch."""
    return (said - targets).square().sum(1).mean()


def save_pretrained(run: Path, student: MoodModel, arch: str, frontend: FrontEndConfig) -> Path:
    """Weights for `--init`, with what they were made for."""
    about = {"melodai": json.dumps({"arch": arch, "frontend": vars(frontend)})}
    path = run / WEIGHTS
    replace_file(path, lambda file: file.write(save(initial_state(student), about)))
    return path
