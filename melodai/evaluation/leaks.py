"""Looks over the split of a run before it is trained on: recordings and artists on two sides."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from melodai.data.artists import artist_key
from melodai.data.cache import default_cache_dir
from melodai.data.corpus import Corpus
from melodai.evaluation.audit import Duplicate, find_crossings, find_duplicates
from melodai.evaluation.spelling import find_spellings
from melodai.files import replace_text

# About a tenth of a second a song, once; beyond that the user is told of melodai-audit instead.
MOST_TRACKS = 500


def leak_warnings(
    corpus: Corpus,
    part_of: Mapping[int, str],
    cache_dir: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """A sentence for every recording or artist that stands on two sides of the split.

    Args:
        part_of: part or fold of each song, by its index.

    Same content and same artists have been refused before; this is about what only listening
    finds (another encoding, level or pitch) and about artists that are spelled in two ways. What
    was heard is kept in the cache folder.
    """
    if corpus.holds_pictures:  # nothing to listen to
        return []
    names = [track.name for track in corpus.tracks]
    artists = {track.name: track.artist for track in corpus.tracks}
    parts = {names[index]: part for index, part in part_of.items()}
    spellings = find_spellings([artist for artist in artists.values() if artist_key(artist)])
    duplicates: list[Duplicate] = []
    unheard = []
    if len(names) <= MOST_TRACKS:
        duplicates = _duplicates(corpus, cache_dir or default_cache_dir(), on_progress)
    else:
        unheard = [
            f"{len(names)} songs are too many to listen for copies before each run; "
            "melodai-audit does it once"
        ]
    crossings = find_crossings(duplicates, spellings, artists, parts)
    return [f"the split leaks: {crossing}" for crossing in crossings] + unheard


def _duplicates(
    corpus: Corpus, cache_dir: Path, on_progress: Callable[[int, int], None]
) -> list[Duplicate]:
    """From the cache folder where these very songs were listened to before."""
    names = [track.name for track in corpus.tracks]
    content = "\n".join(f"{k} {n}" for k, n in sorted(zip(corpus.keys, names, strict=True)))
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    path = Path(cache_dir).expanduser() / "audits" / f"{digest}-{corpus.sample_rate}.json"
    if path.is_file():
        return [Duplicate(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    duplicates, _, _ = find_duplicates(
        names, lambda index: corpus.entries[index].read(), corpus.sample_rate,
        on_progress=on_progress,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps([asdict(pair) for pair in duplicates], indent=1))
    return list(duplicates)
