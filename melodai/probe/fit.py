"""Fits one head with given hyper-parameters."""

import functools
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from melodai.models.heads import KERNEL, LINEAR, MLP, Head, HeadShape
from melodai.probe.examples import Examples

SMALLEST_DEVIATION = 1e-6
MLP_HIDDEN, MLP_STEPS, MLP_RATE, MLP_DROPOUT = 64, 200, 1e-3, 0.5
# As right as all columns on the folds of Emotify and 4Q, in a twelfth of the space.
MOST_COMPONENTS = 256


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A kind of head and its hyper-parameters.

    Attributes:
        kind: "linear", "mlp", "svm" or "ridge".
        member: which of the joined networks it reads, from 0.
        summaries: which parts of the embedding it reads, ("mean",) or ("mean", "std").
        strength: of the regularisation: 1 / C of scikit-learn's linear model and SVM, alpha of
            kernel ridge, weight decay of the MLP.
        width: gamma of the kernel times the number of inputs; not used by the others.
    """

    kind: str
    member: int
    summaries: tuple[str, ...]
    strength: float
    width: float = 1.0

    def __str__(self) -> str:
        kernel = f", gamma {self.width:g}/d" if self.kind in ("svm", "ridge") else ""
        network = f" of network {self.member + 1}" if self.member else ""
        read = "+".join(self.summaries) + network
        return f"{self.kind} on {read}, strength {self.strength:g}{kernel}"


class Inputs:
    """The columns that a head reads, standardised, and if they are many their principal components;
    what several candidates need is computed once.

    Attributes:
        columns: those of the asked-for ones that change: the others say nothing, whatever they are
            in another song.
        rotation: `(column, component)`; None where there are at most `MOST_COMPONENTS` columns.
        x: `(window, column)`, mean 0 and deviation 1 in every column, or `(window, component)`.
    """

    def __init__(self, examples: Examples, columns: np.ndarray) -> None:
        self.examples = examples
        x = examples.embeddings[:, columns]
        changes = x.std(0) > SMALLEST_DEVIATION
        x, self.columns = x[:, changes], columns[changes]
        self.mean, self.scale = x.mean(0), 1 / x.std(0)
        x = (x - self.mean) * self.scale
        is_wide = x.shape[1] > MOST_COMPONENTS
        self.rotation = principal_components(x, MOST_COMPONENTS).rotation if is_wide else None
        self.x = x if self.rotation is None else x @ self.rotation

    @functools.cached_property
    def distances(self) -> np.ndarray:
        """Squared, `(window, window)`."""
        return squared_distances(self.x, self.x)

    def gamma(self, width: float) -> float:
        """Of a Gaussian kernel: `width` over the number of columns."""
        return width / max(1, len(self.columns))

    def gram(self, width: float) -> np.ndarray:
        """Gaussian kernel of all windows."""
        return np.exp(-self.gamma(width) * self.distances)


class Components(NamedTuple):
    """Directions `(column, component)` in which rows differ most, and their deviations there."""

    rotation: np.ndarray
    deviations: np.ndarray


def principal_components(x: np.ndarray, most: int) -> Components:
    """Of rows whose mean is 0, `(row, column)`: as many as vary, but at most `most`."""
    values, vectors = np.linalg.eigh(x.T @ x if len(x) > x.shape[1] else x @ x.T)
    values, vectors = values[::-1][:most], vectors[:, ::-1][:, :most]
    kept = values > values[0] * 1e-10
    values, vectors = values[kept], vectors[:, kept]
    rotation = vectors if len(x) > x.shape[1] else x.T @ (vectors / np.sqrt(values))
    return Components(rotation, np.sqrt(values / len(x)))


def fit_head(candidate: Candidate, inputs: Inputs, seed: int) -> Head:
    """A head whose logits are not calibrated yet (`sharpness` 1)."""
    state = _FITS[candidate.kind](candidate, inputs, seed)
    kind = {"svm": KERNEL, "ridge": KERNEL}.get(candidate.kind, candidate.kind)
    rotation = inputs.rotation
    shape = HeadShape(
        kind=kind, num_inputs=len(inputs.columns), num_classes=inputs.examples.num_classes,
        num_hidden={KERNEL: len(inputs.x), MLP: MLP_HIDDEN, LINEAR: 0}[kind],
        num_components=0 if rotation is None else rotation.shape[1],
    )  # fmt: skip
    head = Head(shape)
    own = {"columns": inputs.columns, "mean": inputs.mean, "scale": inputs.scale}
    own |= {} if rotation is None else {"rotation": rotation}
    own |= {"sharpness": np.ones(()), **{f"scorer.{name}": v for name, v in state.items()}}
    tensors = {name: torch.as_tensor(value) for name, value in own.items()}
    head.load_state_dict({k: v if k == "columns" else v.float() for k, v in tensors.items()})
    return head.eval()


def _fit_linear(candidate: Candidate, inputs: Inputs, seed: int) -> dict:
    """Multinomial logistic regression on the labels, moods weighing the same."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    examples, x = inputs.examples, inputs.x
    model = LogisticRegression(C=1 / candidate.strength, class_weight="balanced", max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, examples.labels[examples.songs], examples.window_weights)
    weight, bias = _all_classes(model.coef_, model.intercept_, model.classes_, examples.num_classes)
    return {"weight": weight, "bias": bias}


def _all_classes(weight, bias, classes, num_classes: int):
    """Rows for classes that the songs lack too; two classes are one row in scikit-learn."""
    if len(bias) == 1 and len(classes) == 2:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    whole, offsets = np.zeros((num_classes, weight.shape[1])), np.full(num_classes, -10.0)
    whole[classes], offsets[classes] = weight, bias
    return whole, offsets


def _fit_svm(candidate: Candidate, inputs: Inputs, seed: int) -> dict:
    """RBF-SVMs, each mood against the others."""
    from sklearn.svm import SVC

    examples, x, gram = inputs.examples, inputs.x, inputs.gram(candidate.width)
    weight = np.zeros((len(x), examples.num_classes))
    bias = np.full(examples.num_classes, -10.0)
    labels = examples.labels[examples.songs]
    for mood in np.unique(labels):
        model = SVC(C=1 / candidate.strength, kernel="precomputed", class_weight="balanced")
        model.fit(gram, labels == mood, examples.window_weights)
        weight[model.support_, mood] = model.dual_coef_[0]
        bias[mood] = model.intercept_[0]
    gamma = inputs.gamma(candidate.width)
    return {"support": x, "weight": weight, "bias": bias, "gamma": gamma}


def _fit_ridge(candidate: Candidate, inputs: Inputs, seed: int) -> dict:
    """Kernel ridge regression of the vote shares, songs with more votes weighing more.

    Minimises sum_i w_i |f(x_i) - y_i|^2 + alpha |f|^2, so that (K + alpha / W) a = y - mean(y).
    """
    examples, x, gram = inputs.examples, inputs.x, inputs.gram(candidate.width)
    weights, targets = examples.window_weights, examples.shares[examples.songs]
    bias = (weights[:, None] * targets).sum(0) / weights.sum()
    gram[np.diag_indices_from(gram)] += candidate.strength / weights
    dual = np.linalg.solve(gram, targets - bias)
    gamma = inputs.gamma(candidate.width)
    return {"support": x, "weight": dual, "bias": bias, "gamma": gamma}


def _fit_mlp(candidate: Candidate, inputs: Inputs, seed: int) -> dict:
    """One hidden layer, trained on the vote shares with all windows at once."""
    examples, x = inputs.examples, inputs.x
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Linear(x.shape[1], MLP_HIDDEN),
            nn.ReLU(),
            nn.Linear(MLP_HIDDEN, examples.num_classes),
        )
    sounds = torch.from_numpy(x).float()
    targets = torch.from_numpy(examples.shares[examples.songs]).float()
    weights = torch.from_numpy(examples.window_weights).float()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=MLP_RATE, weight_decay=candidate.strength
    )
    for _ in range(MLP_STEPS):
        kept = torch.rand(sounds.shape, generator=generator) >= MLP_DROPOUT
        logits = network(sounds * kept / (1 - MLP_DROPOUT))
        losses = nn.functional.cross_entropy(logits, targets, reduction="none")
        optimizer.zero_grad()
        (weights * losses).mean().backward()
        optimizer.step()
    state: dict[str, Tensor] = network.state_dict()
    return {name: value.numpy() for name, value in state.items()}


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`(row of x, row of y)`."""
    found = (x**2).sum(1)[:, None] - 2 * x @ y.T + (y**2).sum(1)
    return np.maximum(found, 0)


_FITS = {"linear": _fit_linear, "svm": _fit_svm, "ridge": _fit_ridge, "mlp": _fit_mlp}
