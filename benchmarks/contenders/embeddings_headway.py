"""One embedding column: headway's DNNClassifier."""

from __future__ import annotations

import tempfile
from collections.abc import Callable

import _embeddings


def main() -> None:
    arguments = _embeddings.parser(__doc__).parse_args()
    import keras

    import headway as hw

    def train(buckets: int, steps: int, noted: Callable[[int], None]) -> None:
        fc = hw.feature_columns
        column = fc.embedding_column(fc.categorical_column_with_identity("id", buckets), _embeddings.DIMENSION)
        maker = hw.LazyAdam if arguments.optimizer == "LazyAdam" else getattr(keras.optimizers, arguments.optimizer)
        momentum = {"momentum": 0.9} if arguments.optimizer == "SGD" else {}
        model = hw.DNNClassifier(
            hidden_units=[16],
            feature_columns=[column],
            optimizer=maker(0.01, **momentum),
            model_dir=tempfile.mkdtemp(),
            config=hw.RunConfig(save_checkpoints_steps=None, save_checkpoints_secs=None, progress="none"),
        )
        source = hw.input_pipelines.from_arrays(
            *_embeddings.rows(buckets), batch_size=_embeddings.BATCH_SIZE, shuffle=True, num_epochs=None, seed=1
        )
        hook = hw.estimators.every_n_steps(_embeddings.steps_of_turn(steps), lambda run: noted(run.step))
        model.train(source, steps=steps, hooks=[hook])

    _embeddings.run(train, arguments)


if __name__ == "__main__":
    main()
