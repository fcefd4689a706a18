"""Functions of `tf` that mean what they meant in TensorFlow 1 for the program, and what they mean today for libraries.

Some took other arguments then, or in another order: the third argument of `tf.argmax` was its name. Keras, TensorFlow
and headway itself call them by the same names, and mean those of TensorFlow 2.
"""

from __future__ import annotations

import functools
import inspect
import types
from typing import Any

import tensorflow as tf

from headway import _backend as _backend
from headway import _tensorflow_v1

_LIBRARIES = ("tensorflow", "keras", "tf_keras", "headway")

# Module of `tf` -> functions that `tf.compat.v1` has with other arguments, or that do something else there.
FUNCTIONS = {
    "": """
        argmax argmin assert_equal assert_greater assert_less assert_rank batch_to_space boolean_mask cond constant
        constant_initializer convert_to_tensor device expand_dims gather gather_nd gradients hessians name_scope norm
        ones_initializer ones_like pad random_normal_initializer random_uniform_initializer reduce_all reduce_any
        reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_sum reverse_sequence shape size
        space_to_batch squeeze transpose tuple where while_loop zeros_initializer zeros_like
        """,
    "debugging": """
        assert_all_finite assert_equal assert_greater assert_greater_equal assert_less assert_less_equal assert_near
        assert_negative assert_non_negative assert_non_positive assert_none_equal assert_positive assert_rank
        assert_rank_at_least assert_rank_in assert_scalar
        """,
    "feature_column": "categorical_column_with_vocabulary_file",
    "image": "crop_and_resize draw_bounding_boxes extract_glimpse resize sample_distorted_bounding_box",
    "io": "decode_csv decode_raw parse_example parse_single_example serialize_many_sparse serialize_sparse",
    "linalg": "norm",
    "math": """
        argmax argmin bincount confusion_matrix count_nonzero in_top_k log_softmax reduce_all reduce_any
        reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_sum softmax
        """,
    "nn": """
        avg_pool avg_pool2d batch_norm_with_global_normalization conv1d conv2d conv2d_transpose conv3d conv3d_transpose
        convolution crelu ctc_beam_search_decoder ctc_loss depth_to_space depthwise_conv2d dilation2d dropout
        embedding_lookup embedding_lookup_sparse erosion2d fractional_avg_pool fractional_max_pool in_top_k log_softmax
        max_pool max_pool_with_argmax moments nce_loss pool safe_embedding_lookup_sparse sampled_softmax_loss
        separable_conv2d softmax softmax_cross_entropy_with_logits space_to_batch space_to_depth
        sparse_softmax_cross_entropy_with_logits sufficient_statistics weighted_cross_entropy_with_logits
        weighted_moments
        """,
    "random": "poisson",
    "saved_model": "load",
    "sparse": "add concat reduce_max reduce_sum segment_mean segment_sqrt_n segment_sum split",
    "strings": "length reduce_join split substr to_hash_bucket to_number",
    "summary": "audio histogram image scalar text",
}
# Modules that were TensorFlow's own, and are Keras's.
MODULES = ("initializers", "losses", "metrics")


class _Module(types.ModuleType):
    """A module of TensorFlow 1, with what today's has beside it."""

    def __init__(self, name: str, new: Any, old: Any) -> None:
        super().__init__(f"tensorflow.{name}", old.__doc__)
        self._both = old, new

    def __getattr__(self, name: str) -> Any:
        old, new = self._both
        return getattr(old if hasattr(old, name) else new, name)

    def __dir__(self) -> list[str]:
        return sorted({name for module in self._both for name in dir(module)})


@functools.cache
def names() -> frozenset[str]:
    """Returns the functions in full, as a program with `import tensorflow as tf` would write them."""
    return frozenset(
        f"tf.{path}.{name}".replace("..", ".") for path, all_ in FUNCTIONS.items() for name in all_.split()
    )


def means_v1(name: str) -> bool:
    """Returns whether a name has the meaning of TensorFlow 1 once `install` was called."""
    return name in names() or any(name.startswith(f"tf.{module}.") for module in MODULES)


def install() -> None:
    """Puts the functions and modules in the place of those of `tf`."""
    for name in MODULES:
        if not isinstance(getattr(tf, name), _Module):
            setattr(tf, name, _Module(name, getattr(tf, name), getattr(tf.compat.v1, name)))
    for path, all_ in FUNCTIONS.items():
        new, old = (functools.reduce(getattr, path.split("."), root) if path else root for root in (tf, tf.compat.v1))
        for name in all_.split():
            if not hasattr(getattr(new, name), "of_tensorflow_2"):
                setattr(new, name, both(getattr(new, name), getattr(old, name)))


def both(new: Any, old: Any) -> Any:
    """Returns what is `old` for a program, and `new` for libraries or for arguments that only that takes.

    It is a function, or for two classes a class: of instances of either, and for subclasses a class of `old`.
    """
    if not isinstance(old, type):
        return _function(new, old)
    choose = _function(new, old)

    class Both(type(old)):  # type: ignore[misc]
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            return choose(*args, **kwargs) if cls is either else super().__call__(*args, **kwargs)

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, (old, new)) if cls is either else super().__instancecheck__(instance)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, (old, new)) if cls is either else super().__subclasscheck__(subclass)

    either = Both(old.__name__, (old,), {"__doc__": old.__doc__, "of_tensorflow_2": new})
    return either


def _function(new: Any, old: Any) -> Any:
    signature = inspect.signature(old)

    @functools.wraps(old, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        if _is_library(inspect.currentframe()):
            return new(*args, **kwargs)
        try:
            signature.bind(*args, **kwargs)
        except TypeError:
            return new(*args, **kwargs)
        return old(*args, **kwargs)

    function: Any = tf.autograph.experimental.do_not_convert(call)
    function.of_tensorflow_2 = new
    return function


def _is_library(frame: types.FrameType | None) -> bool:
    """Returns whether the code that calls the function of this frame is a library's."""
    frame = None if frame is None else frame.f_back
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module != __name__ and not module.startswith(_tensorflow_v1.AUTOGRAPH):
            return module.partition(".")[0] in _LIBRARIES
        frame = frame.f_back
    return False
