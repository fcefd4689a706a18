"""Wide & deep on rows of a CSV file, trained and evaluated in turns, exported, and served from serialised examples."""

import os

import numpy as np
import shared
import tensorflow as tf
from absl import app, flags

flags.DEFINE_string("dir", None, "Where the data and the model go.")
FLAGS = flags.FLAGS

NAMES = ["age", "education", "occupation", "hours", "income"]
DEFAULTS = [[0], [""], [""], [0.0], [""]]
EDUCATION = ["Bachelors", "HS-grad", "Masters", "Doctorate"]
OCCUPATION = ["Sales", "Craft-repair", "Tech-support", "Other-service", "Exec"]


def write_csv(path, rows, seed):
    rng = np.random.RandomState(seed)
    lines = []
    for _ in range(rows):
        age, hours = rng.randint(17, 75), np.round(rng.uniform(10, 60), 1)
        education, occupation = rng.randint(len(EDUCATION)), rng.randint(len(OCCUPATION))
        score = 0.04 * (age - 40) + 0.6 * education + 0.05 * (hours - 40) - 0.5 * (occupation == 3) + rng.normal(0, 0.5)
        income = ">50K" if score > 0.8 else "<=50K"
        lines.append(f"{age},{EDUCATION[education]},{OCCUPATION[occupation]},{hours},{income}")
    return shared.write_lines(path, lines)


def input_fn(path, num_epochs, batch_size):
    def parse_csv(value):
        columns = tf.io.decode_csv(value, record_defaults=DEFAULTS)
        features = dict(zip(NAMES, columns, strict=True))
        labels = features.pop("income")
        return features, tf.equal(labels, ">50K")

    dataset = tf.data.TextLineDataset(path)
    dataset = dataset.map(parse_csv, num_parallel_calls=2)
    return dataset.repeat(num_epochs).batch(batch_size)


def build_model_columns():
    age = tf.feature_column.numeric_column("age")
    hours = tf.feature_column.numeric_column("hours", normalizer_fn=lambda x: (x - 40.0) / 10.0)
    education = tf.feature_column.categorical_column_with_vocabulary_list("education", EDUCATION)
    occupation = tf.feature_column.categorical_column_with_hash_bucket("occupation", hash_bucket_size=20)
    age_buckets = tf.feature_column.bucketized_column(age, boundaries=[18, 25, 35, 45, 55, 65])
    crossed = [
        tf.feature_column.crossed_column(["education", "occupation"], hash_bucket_size=50),
        tf.feature_column.crossed_column([age_buckets, "education"], hash_bucket_size=30),
    ]
    wide = [education, occupation, age_buckets, *crossed]
    deep = [hours, tf.feature_column.indicator_column(education), tf.feature_column.embedding_column(occupation, 4)]
    return wide, deep


def main(unused_argv):
    train_file = write_csv(os.path.join(FLAGS.dir, "adult.data"), 400, seed=0)
    test_file = write_csv(os.path.join(FLAGS.dir, "adult.test"), 150, seed=1)
    wide, deep = build_model_columns()
    first = shared.first_values(
        {
            "dnn/input_from_feature_columns/input_layer/occupation_embedding/embedding_weights": [20, 4],
            "dnn/hiddenlayer_0/kernel": [9, 8],
            "dnn/hiddenlayer_1/kernel": [8, 4],
            "dnn/logits/kernel": [4, 1],
        }
    )
    model = tf.estimator.DNNLinearCombinedClassifier(
        model_dir=os.path.join(FLAGS.dir, "model"),
        linear_feature_columns=wide,
        linear_optimizer=lambda: tf.keras.optimizers.legacy.Ftrl(0.1),
        dnn_feature_columns=deep,
        dnn_optimizer=lambda: tf.keras.optimizers.legacy.Adagrad(0.05),
        dnn_hidden_units=[8, 4],
        config=tf.estimator.RunConfig(save_checkpoints_steps=20, tf_random_seed=1),
        warm_start_from=tf.estimator.WarmStartSettings(
            shared.write_checkpoint(os.path.join(FLAGS.dir, "first", "model"), first),
            vars_to_warm_start="dnn.*kernel|.*embedding",
        ),
    )
    serving_input_receiver_fn = tf.estimator.export.build_parsing_serving_input_receiver_fn(
        tf.feature_column.make_parse_example_spec([*wide, *deep])
    )
    exporters = [
        tf.estimator.LatestExporter("latest", serving_input_receiver_fn, exports_to_keep=2),
        tf.estimator.BestExporter("best", serving_input_receiver_fn),
        tf.estimator.FinalExporter("final", serving_input_receiver_fn),
    ]
    metrics, exports = tf.estimator.train_and_evaluate(
        model,
        tf.estimator.TrainSpec(lambda: input_fn(train_file, None, 40), max_steps=80),
        tf.estimator.EvalSpec(lambda: input_fn(test_file, 1, 40), steps=None, exporters=exporters, throttle_secs=0),
    )
    served = tf.saved_model.load(exports[-1].decode())
    example = tf.train.Example()
    example.features.feature["age"].float_list.value.append(50)
    example.features.feature["hours"].float_list.value.append(45)
    example.features.feature["education"].bytes_list.value.append(b"Masters")
    example.features.feature["occupation"].bytes_list.value.append(b"Sales")
    predicted = served.signatures["predict"](examples=tf.constant([example.SerializeToString()]))
    classified = served.signatures["serving_default"](inputs=tf.constant([example.SerializeToString()]))
    shared.report(
        metrics=metrics,
        exported=[export is not None for export in exports],
        kept={name: len(os.listdir(os.path.join(FLAGS.dir, "model", "export", name))) for name in ("latest", "final")},
        signatures=sorted(served.signatures),
        logistic=predicted["logistic"].numpy(),
        classes=predicted["classes"].numpy(),
        scores=classified["scores"].numpy(),
        weight=model.get_variable_value("linear/linear_model/education/weights"),
        variables=sorted(model.get_variable_names()),
    )


if __name__ == "__main__":
    app.run(main)
