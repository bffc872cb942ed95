"""What a fitted network says of arrays, in the manner of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from groundkit.estimators.arrays import ArrayError, RowScale, in_one_range, plain_array
from groundkit.perception.model import SymbolModel, energy
from groundkit.perception.parts import in_parts
from groundkit.report.words import counted


class SymbolReader(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    ClusterMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Symbols, embeddings and scores of images and of rows; a subclass trains ``model_``.

    Attributes:
        model_: The trained :class:`SymbolModel`.
        image_shape_: ``(C, H, W)`` of what it reads.
        assumed_: What was taken for granted of the images, in words.
        scale_: What brings rows of numbers to the model's range; ``None`` for images.
    """

    n_symbols: int
    device: str
    model_: SymbolModel
    image_shape_: tuple[int, int, int]
    assumed_: tuple[str, ...]
    scale_: RowScale | None

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:  # noqa: N803
        """Most probable symbol of each image, ``(N,)``."""
        symbols: NDArray[np.int64] = self._logits(X).argmax(-1).cpu().numpy()
        return symbols

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:  # noqa: N803
        """Distribution over symbols of each image, ``(N, K)``."""
        probabilities: NDArray[np.float32] = self._logits(X).softmax(-1).cpu().numpy()
        return probabilities

    @torch.no_grad()
    def transform(self, X: ArrayLike) -> NDArray[np.float32]:  # noqa: N803
        """Embedding of each image, ``(N, F)``."""
        inputs = self._inputs(X)
        embedding: NDArray[np.float32] = in_parts(self.model_.embed, inputs).cpu().numpy()
        return embedding

    def score(self, X: ArrayLike, y: object = None) -> float:  # noqa: N803
        """What the symbols tell about the images: ``H(mean p) - mean H(p)`` in nats, at most log K.

        It is high if every image has one clear symbol and all symbols are in use. It needs no label
        and can compare settings, which the energy cannot, as that is only known up to a constant
        that differs between models.

        Args:
            X: As in :meth:`fit`.
            y: Ignored; there for scikit-learn's searches.
        """
        del y
        p = self._logits(X).double().softmax(-1)
        found = torch.special.entr(p.mean(0)).sum() - torch.special.entr(p).sum(-1).mean()
        return float(found)

    def score_samples(self, X: ArrayLike) -> NDArray[np.float32]:  # noqa: N803
        """``-E(x)`` of each image, ``(N,)``: the log-density up to one constant for the model.

        High means likely. To flag images that are out of distribution, compare with the scores of
        images that are known to be in distribution.
        """
        scores: NDArray[np.float32] = (-energy(self._logits(X))).cpu().numpy()
        return scores

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _images(self, X: Any, *, fitting: bool) -> Tensor:  # noqa: N803
        """Images ``(N, C, H, W)`` in [-1, 1] on the device; rows become images of one row."""
        X = plain_array(X)  # noqa: N806
        shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
        if len(shape) == 4 and shape[1:3] == (1, 1):
            X, shape = np.reshape(X, (shape[0], shape[3])), (shape[0], shape[3])  # noqa: N806
        if len(shape) < 3:
            if not fitting and self.scale_ is None:
                raise ArrayError(f"X of shape {shape}", expected=f"images {self.image_shape_}")
            rows = self._rows(X, fitting=fitting)
            if fitting:
                self.scale_, self.assumed_ = RowScale.of(rows), ()
            assert self.scale_ is not None
            return self.scale_.scaled(rows).to(self.device)
        taken = in_one_range(X, "X", fitting=fitting)
        if fitting:
            if len(taken.values) < self.n_symbols:
                raise ArrayError(
                    counted(len(taken.values), "image"), expected=f"at least {self.n_symbols}"
                )
            if (taken.values == taken.values[:1]).all():
                raise ArrayError(
                    f"X: all {len(taken.values)} images are equal", expected="images that differ"
                )
            self.scale_, self.assumed_ = None, taken.assumed
        return torch.as_tensor(taken.floats(), device=self.device)

    def _rows(self, X: Any, *, fitting: bool) -> NDArray[Any]:  # noqa: N803
        """Rows ``(N, D)``, checked by scikit-learn, which also notes their columns."""
        least = max(self.n_symbols, 1) if fitting else 1
        try:
            rows: NDArray[Any] = validate_data(
                self, X, reset=fitting, dtype=[np.float64, np.float32], ensure_min_samples=least
            )
        except ValueError as error:
            raise ArrayError(" ".join(str(error).split())) from None
        return rows

    def _inputs(self, X: ArrayLike) -> Tensor:  # noqa: N803
        """Images as the model reads them, of the shape that it was trained on."""
        check_is_fitted(self, "model_")
        images = self._images(X, fitting=False)
        if tuple(images.shape[1:]) != self.image_shape_:
            raise ArrayError(
                f"images of shape {tuple(images.shape[1:])}", expected=f"{self.image_shape_}"
            )
        return images

    @torch.no_grad()
    def _logits(self, X: ArrayLike) -> Tensor:  # noqa: N803
        inputs = self._inputs(X)
        return in_parts(self.model_, inputs)

    @property
    def _n_features_out(self) -> int:
        """Width of what :meth:`transform` returns, for scikit-learn's names of columns."""
        features: int = self.model_.prototypes.in_features
        return features
