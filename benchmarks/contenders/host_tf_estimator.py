"""The census columns by the DenseFeatures layer of TensorFlow 2.15."""

from __future__ import annotations

import _census
import _host
import _measure


def main() -> None:
    arguments = _census.parser(__doc__).parse_args()
    train, test = _census.load(arguments.census)
    import tensorflow as tf

    layer = tf.keras.layers.DenseFeatures(_host.all_columns(tf.feature_column, train))
    layer({name: tf.constant(values[:2]) for name, values in test.features.items()})
    dense = _host.by_map(tf, layer)
    figures = {f"dense_{size}": _host.rows_per_second(tf, train, dense, size) for size in _host.BATCH_SIZES}
    # It has no host part of its own: the same rates, for the ratios.
    _measure.report({**figures, **{f"host_{size}": figures[f"dense_{size}"] for size in _host.BATCH_SIZES}})


if __name__ == "__main__":
    main()
