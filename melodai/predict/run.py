"""All songs of a list into a result file: resumable, interruptible, shared by processes."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from melodai.data.cache import Failure
from melodai.files import file_digest
from melodai.interrupt import Interrupted, graceful_interrupt
from melodai.predict.predictor import Predictor
from melodai.predict.result_file import ResultFile
from melodai.predict.results import SongMood
from melodai.predict.rows import row_of
from melodai.predict.shares import Share

Answer = SongMood | Failure


@dataclasses.dataclass(frozen=True)
class Watcher:
    """Who is told how far it is: `start(songs to do, songs done before)`, `answer(of a song)`."""

    start: Callable[[int, int], None] = lambda num_songs, num_done: None
    answer: Callable[[Answer], None] = lambda answer: None


def predict_into(
    result: ResultFile,
    predictor: Predictor,
    paths: Sequence[Path],
    *,
    share: Share,
    before_row: Callable[[SongMood], None] = lambda song: None,
    watcher: Watcher,
) -> None:
    """Answers for all songs that have no row yet, by whatever name; a row is written at once.

    Args:
        result: prepared by the first process.
        share: of this process; the first one has all rows in `result` at the end.
        before_row: called with each song before its row is written, so that what it does is done
            for every song that has a row.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the rows at hand were written.
        RankFailedError: another of the processes has died.
    """
    if share.is_first:
        result.merge_parts()
    share.wait_for_all()
    done = {os.path.realpath(result.path_of(row)) for row in result.rows()}
    mine = share.of([path for path in paths if not done or os.path.realpath(path) not in done])
    share.wait_for_all()  # all have read the rows before any part is merged into them
    watcher.start(len(mine), len(done))
    target = result if share.world_size == 1 else result.part(share.rank)
    num_answers = 0
    with graceful_interrupt() as wish, closing(target):
        for answer in predictor.predict_many(
            mine, is_stopped=lambda: wish.signal_number is not None
        ):
            if isinstance(answer, SongMood):
                before_row(answer)
            row = row_of(answer)
            target.append(dataclasses.replace(row, file=result.name_of(Path(row.file))))
            watcher.answer(answer)
            num_answers += 1
    if wish.signal_number is not None and num_answers < len(mine):
        raise Interrupted(wish.signal_number)
    share.wait_for_all()
    if share.is_first:
        result.merge_parts()


def settings_of(predictor: Predictor) -> dict[str, object]:
    """What a row depends on, beside the song."""
    bundle = predictor.bundle
    references = bundle.references
    weights = bundle.model.encoder.state_dict()
    return {
        # A graph of ONNX keeps its weights to itself: there the file stands for them.
        "model": _digest(weights) if weights else file_digest(Path(bundle.source))[:16],
        "frontend": hashlib.sha256(repr(bundle.config.frontend).encode()).hexdigest()[:16],
        "references": references and _digest({"embeddings": references.embeddings}),
        "moods": list(predictor.moods),
        "segment_seconds": bundle.segment_seconds,
        "pieces": predictor.pieces,
        "pooling": bundle.pooling,
        "temperature": bundle.temperature,
        "precision": predictor.precision,
        "min_confidence": predictor.min_confidence,
    }


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
