"""Moods as weighted sums of the words that published networks say: for `--mode zero-shot`.

The weights are judgements made once, from what the words mean, without looking at any data. Each
tag is standardised over the songs before it is added (`training.probe_run.zero_shot`), so that a
word counts by how much more than usual it is said. All moods of both taxonomies are here.
"""

from collections.abc import Mapping

Weights = Mapping[str, float]


def _even(*tags: str) -> Weights:
    return dict.fromkeys(tags, 1.0)


MSD: dict[str, Weights] = {
    "energetic": _even("party", "dance", "happy", "punk", "hard rock", "heavy metal", "catchy"),
    "peaceful": _even("chillout", "chill", "ambient", "easy listening", "instrumental"),
    "emotional": _even("sad", "beautiful", "acoustic", "folk", "Mellow"),
    "party": _even("party", "dance", "House", "catchy"),
    "drive": _even("rock", "hard rock", "classic rock", "heavy metal"),
    "calm": _even("chillout", "chill", "ambient", "easy listening"),
    "romantic": _even("beautiful", "soul", "sexy", "Mellow"),
    "sad": _even("sad", "blues"),
}
# MagnaTagATune's listeners named what they heard; none of its 50 words is a feeling.
MTT: dict[str, Weights] = {
    "energetic": _even("fast", "loud", "beat", "drums", "rock", "dance", "techno", "metal"),
    "peaceful": _even("quiet", "ambient", "new age", "no vocals", "choir", "harp"),
    "emotional": _even("slow", "soft", "strings", "cello", "violin", "female vocal", "solo"),
    "party": _even("dance", "techno", "beat"),
    "drive": _even("rock", "metal", "loud", "drums"),
    "calm": _even("quiet", "ambient", "new age"),
    "romantic": _even("soft", "female vocal", "guitar", "strings"),
    "sad": _even("slow", "cello", "violin", "solo"),
}
JAMENDO: dict[str, Weights] = {
    "energetic": _even("energetic", "party", "powerful", "fast", "upbeat", "fun", "sport"),
    "peaceful": _even("calm", "relaxing", "meditative", "soundscape", "space", "nature", "dream"),
    "emotional": _even("emotional", "sad", "melancholic", "romantic", "love", "ballad", "drama"),
    "party": _even("party", "fun", "groovy", "upbeat"),
    "drive": _even("energetic", "powerful", "heavy", "action", "sport"),
    "calm": _even("calm", "relaxing", "meditative", "soft"),
    "romantic": _even("romantic", "love", "ballad", "sexy"),
    "sad": _even("sad", "melancholic", "emotional"),
}
# The plane of Russell (1980): energy up or down, valence to the right or left.
VIBENET: dict[str, Weights] = {
    "energetic": {"energy": 2.0, "danceability": 1.0, "valence": 1.0},
    "peaceful": {"energy": -1.0, "instrumentalness": 1.0},
    "emotional": {"energy": -1.0, "valence": -1.0, "acousticness": 1.0},
    "party": {"danceability": 1.0, "energy": 1.0, "valence": 1.0},
    "drive": {"energy": 2.0, "valence": -1.0},
    "calm": {"energy": -1.0, "instrumentalness": 1.0},
    "romantic": {"energy": -1.0, "acousticness": 1.0, "valence": 0.5},
    "sad": {"valence": -2.0, "energy": -1.0},
}
AUDIOSET: dict[str, Weights] = {
    "energetic": _even("Exciting music", "Happy music", "Rock music", "Dance music", "Techno"),
    "peaceful": _even("New-age music", "Ambient music", "Choir", "Background music"),
    "emotional": _even("Sad music", "Tender music", "String section", "Song"),
    "party": _even("Happy music", "Dance music", "Disco"),
    "drive": _even("Exciting music", "Rock music", "Heavy metal"),
    "calm": _even("New-age music", "Ambient music", "Lullaby"),
    "romantic": _even("Tender music", "Soul music"),
    "sad": _even("Sad music", "Blues"),
}
# CLAP is asked in words; a mood is one sentence.
PROMPTS: dict[str, str] = {
    "energetic": "energetic, powerful and joyful music",
    "peaceful": "calm, peaceful and solemn music",
    "emotional": "sad, nostalgic and tender music",
    "party": "happy party music to dance to",
    "drive": "driving, powerful music",
    "calm": "calm, relaxing music",
    "romantic": "romantic, tender music",
    "sad": "sad music",
}
TAG_MOODS: dict[str, Mapping[str, Weights]] = {
    "musicnn-msd": MSD,
    "musicnn-vgg-msd": MSD,
    "musicnn-mtt": MTT,
    "musicnn-vgg-mtt": MTT,
    "jamendo-vgg": JAMENDO,
    "vibenet": VIBENET,
    "yamnet": AUDIOSET,
    "panns-cnn14": AUDIOSET,
    "efficientat-mn10": AUDIOSET,
    "ast": AUDIOSET,
    "clap": {mood: {sentence: 1.0} for mood, sentence in PROMPTS.items()},
}
