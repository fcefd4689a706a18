"""Recommends films: a two-tower model on made-up visits, its recall among all films, and an index that is served.

Usage: python examples/recommend.py [--steps 1000] [--model_dir runs/recommend-...]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import headway as hw
from headway import feature_columns as fc
from headway import input_pipelines

GENRES = ["comedy", "crime", "drama", "nature", "western"]
FILMS, USERS, VISITS = 300, 500, 20_000


def made_up() -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns visits (a user, the film seen, the one seen before) and the catalogue of films."""
    rng = np.random.default_rng(1)
    films = {
        "film": np.array([f"film {i}" for i in range(FILMS)]),
        "genre": rng.choice(GENRES, FILMS),
        "year": rng.integers(1950, 2025, FILMS).astype("float32"),
    }
    # Everybody has a favourite genre and likes films of one time; some films are seen more often than others.
    favourite, time_of = rng.choice(GENRES, USERS), rng.integers(1950, 2025, USERS)
    popular = rng.pareto(1.5, FILMS) + 0.2
    chances = (films["genre"] == favourite[:, None]) * 4.0 + 0.2
    chances *= np.exp(-np.abs(films["year"] - time_of[:, None]) / 10.0) * popular
    chances /= chances.sum(1, keepdims=True)
    user = rng.integers(0, USERS, VISITS)
    seen, before = (np.array([rng.choice(FILMS, p=chances[one]) for one in user]) for _ in range(2))
    visits = {"user": user, "before": films["film"][before]}
    visits |= {name: values[seen] for name, values in films.items()}
    visits["share"] = (np.bincount(seen, minlength=FILMS) / VISITS)[seen].astype("float32")
    return visits, films


def columns(films: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Returns the columns of users and those of films; a film has one vector in both."""
    before, film = fc.shared_embeddings(
        [fc.categorical_column_with_vocabulary_list(name, films["film"].tolist()) for name in ("before", "film")], 16
    )
    user = fc.embedding_column(fc.categorical_column_with_identity("user", USERS), 16)
    genre = fc.indicator_column(fc.categorical_column_with_vocabulary_list("genre", GENRES))
    year = fc.numeric_column("year", normalizer_fn=lambda x: (x - 1987.0) / 22.0)
    return [user, before], [film, genre, year]


def main() -> None:
    arguments = _arguments()
    visits, films = made_up()
    of_users, of_films = columns(films)
    model = hw.TwoTowerRetriever(
        of_users,
        of_films,
        hidden_units=[32],
        model_dir=arguments.model_dir,
        embedding_dimension=16,
        candidate_id_column="film",
        sampling_probability_column="share",
        top_k=(1, 10, 50),
        optimizer=keras.optimizers.Adam(0.005),
        config=hw.RunConfig(tf_random_seed=1, log_step_count_steps=100),
    )
    cut = VISITS * 9 // 10
    train = {name: values[:cut] for name, values in visits.items()}
    test = {name: values[cut:] for name, values in visits.items()}
    catalogue = input_pipelines.from_arrays(films, batch_size=100)

    print(f"Training on {cut} visits, {arguments.steps} steps of 256.")
    rows = input_pipelines.from_arrays(train, batch_size=256, shuffle=True, num_epochs=None, seed=1)
    model.train(rows, steps=arguments.steps)
    metrics = model.evaluate(input_pipelines.from_arrays(test, batch_size=256), candidates_fn=catalogue)
    print(f"\nIs the film of {VISITS - cut} visits that it has not seen among the best of {FILMS}?")
    for k in (1, 10, 50):
        print(f"  among the best {k:<3} {metrics[f'recall@{k}']:>6.1%}   by chance {k / FILMS:>6.1%}")

    path = model.export_index(Path(arguments.model_dir, "export"), catalogue, k=3, example=test).decode()
    served = tf.saved_model.load(path).signatures["serving_default"]
    few = {name: tf.constant(test[name][:5]) for name in ("user", "before")}
    print(f"\nFrom {path}, in plain TensorFlow:")
    for user, before, ids in zip(few["user"].numpy(), few["before"].numpy(), served(**few)["ids"].numpy(), strict=True):
        print(f"  user {user:>3}, who has seen {before.decode():<8}: {', '.join(name.decode() for name in ids)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000, help="training steps (default: 1000)")
    parser.add_argument(
        "--model_dir", default=f"runs/recommend-{time.strftime('%Y%m%d-%H%M%S')}", help="where the run goes"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
