"""`tf.compat.v1.estimator.Estimator`: the class that the estimators of version 1 have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from headway import estimators


class _AllEstimators(type):
    """Makes every estimator an instance of `Estimator`, as every one of tf.estimator's was."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return super().__instancecheck__(instance) or (cls is Estimator and isinstance(instance, estimators.Estimator))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return super().__subclasscheck__(subclass) or (cls is Estimator and issubclass(subclass, estimators.Estimator))


class Estimator(estimators.Estimator, metaclass=_AllEstimators):
    """`headway.Estimator` with the one method that only version 1 had: `export_savedmodel`.

    Args:
      model_fn: see `headway.Estimator`.
      model_dir: see `headway.Estimator`.
      config: see `headway.Estimator`.
      params: see `headway.Estimator`.
      warm_start_from: see `headway.Estimator`.

    Example:
      >>> import headway
      >>> from headway.tf_estimator import v1
      >>> isinstance(headway.Estimator(lambda features: None), v1.Estimator)
      True
    """

    def export_savedmodel(
        self,
        export_dir_base: str | os.PathLike[str],
        serving_input_receiver_fn: Callable[[], Any] | None,
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
        checkpoint_path: str | os.PathLike[str] | None = None,
        strip_default_attrs: bool = False,
    ) -> bytes:
        """Writes the model as a SavedModel; the older name of `export_saved_model`.

        Args:
          export_dir_base: see `export_saved_model`.
          serving_input_receiver_fn: see `export_saved_model`.
          assets_extra: see `export_saved_model`.
          as_text: see `export_saved_model`.
          checkpoint_path: see `export_saved_model`.
          strip_default_attrs: not used: TensorFlow leaves attributes out that have their default.

        Returns:
          The path of the new directory, as bytes.
        """
        del strip_default_attrs
        return self.export_saved_model(
            export_dir_base, serving_input_receiver_fn, assets_extra, as_text, checkpoint_path
        )
