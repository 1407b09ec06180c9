"""Networks side by side, and embeddings that are computed once."""

import torch
from torch import nn

from melodai.config import DataConfig
from melodai.data.corpus import prepare
from melodai.embeddings import embed_songs, fingerprint
from melodai.models.base import Encoder, MoodModel
from melodai.models.joined import JoinedModel
from melodai.transforms.resample import resample
from tests.songs import make_library

MOODS = ("energetic", "peaceful", "emotional")
CPU = torch.device("cpu")


class Counting(nn.Module):
    """A front end that counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.num_calls = 0

    def extra_repr(self):
        return "counting"

    def forward(self, waveform, num_samples=None, draw=None):
        self.num_calls += 1
        return waveform.float().unfold(1, 400, 400).square().mean(2)[:, :20, None]


class Tiny(Encoder):
    def __init__(self, size):
        super().__init__()
        self.embedding_size = size
        self.layer = nn.Linear(20, size)
        self.classifier = nn.Linear(size, 3)

    def embed(self, features):
        return self.layer(features[..., 0])


def tiny(sample_rate, size=4, seed=0):
    torch.manual_seed(seed)
    return MoodModel(
        frontend=Counting(), encoder=Tiny(size), moods=MOODS, sample_rate=sample_rate
    ).eval()


def test_the_embedding_of_a_join_is_that_of_its_members_each_at_its_own_rate():
    one, other = tiny(16000), tiny(8000, size=5, seed=1)
    joined = JoinedModel([one, other]).eval()
    assert joined.sample_rate == 16000 and joined.encoder.embedding_size == 9
    waveform = torch.randn(2, 16000)
    expected = torch.cat([one.embed(waveform), other.embed(resample(waveform, 16000, 8000))], dim=1)
    torch.testing.assert_close(joined.embed(waveform), expected)
    tables = joined.encoder.summaries
    assert tables[1]["embedding"].tolist() == [4, 5, 6, 7, 8]
    assert joined(waveform).shape == (2, 3)


def test_weights_of_a_join_go_round_and_are_counted_once():
    joined = JoinedModel([tiny(16000), tiny(8000, seed=1)])
    again = JoinedModel([tiny(16000, seed=2), tiny(8000, seed=3)])
    again.encoder.load_state_dict(joined.encoder.state_dict())
    waveform = torch.randn(1, 16000)
    torch.testing.assert_close(again.eval()(waveform), joined.eval()(waveform))
    assert joined.num_parameters() == sum(w.numel() for w in joined.encoder.parameters())


def corpus_of(tmp_path, rate=16000):
    make_library(tmp_path / "library", songs_per_mood=2)
    config = DataConfig(data=tmp_path / "library", cache_dir=tmp_path / "cache", num_decoders=1)
    return prepare(config, rate)


def embedded(model, corpus, tmp_path, tracks=(0, 3, 5), seconds=2):
    return embed_songs(
        model, corpus, tracks, name="tiny", segment_samples=seconds * model.sample_rate,
        batch_size=4, device=CPU, cache_dir=tmp_path / "cache",
    )  # fmt: skip


def test_songs_are_embedded_once_and_damaged_entries_anew(tmp_path):
    corpus, model = corpus_of(tmp_path), tiny(16000)
    first = embedded(model, corpus, tmp_path)
    assert first.places.tolist() == [0, 0, 1, 1, 2, 2]
    calls = model.frontend.num_calls
    second = embedded(model, corpus, tmp_path)
    assert model.frontend.num_calls == calls
    torch.testing.assert_close(second.embeddings, first.embeddings, rtol=0, atol=0)
    for path in (tmp_path / "cache").rglob(f"{corpus.keys[3]}.npy"):
        if "embeddings" in str(path):
            path.write_bytes(path.read_bytes()[:50])
    third = embedded(model, corpus, tmp_path)
    assert model.frontend.num_calls > calls
    torch.testing.assert_close(third.embeddings, first.embeddings)


def test_whatever_decides_an_embedding_is_in_its_fingerprint():
    base = fingerprint(tiny(16000), 1000)
    assert base == fingerprint(tiny(16000), 1000)
    others = {
        fingerprint(tiny(16000, seed=1), 1000),
        fingerprint(tiny(8000), 1000),
        fingerprint(tiny(16000), 2000),
    }
    assert len(others) == 3 and base not in others
    other_head = tiny(16000)
    nn.init.ones_(other_head.encoder.classifier.weight)
    assert fingerprint(other_head, 1000) == base


def test_layers_of_one_network_are_told_apart():
    from baselines.jamendo import JamendoVgg
    from baselines.mood_model import mood_model

    torch.manual_seed(0)
    one = mood_model(JamendoVgg(), MOODS, None)
    torch.manual_seed(0)
    other = mood_model(JamendoVgg(("logits",)), MOODS, None)
    assert fingerprint(one, 1000) != fingerprint(other, 1000)
