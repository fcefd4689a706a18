"""Which checkpoint the variables in memory hold, so that nothing is read twice and nothing stale is used."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

import tensorflow as tf

from headway._log import logger
from headway._spec import EstimatorSpec
from headway.estimators import _checkpoints, _huge_pages, _scaffold
from headway.estimators._checkpoints import Checkpoint, CheckpointDirectory
from headway.estimators._model import Model
from headway.estimators._warm_start import WarmStartSettings, warm_start_variables


class Weights:
    """The variables of a model, and where their values come from.

    Args:
      model: the model.
      directory: its checkpoints.
    """

    def __init__(self, model: Model, directory: CheckpointDirectory) -> None:
        self.model = model
        self._directory = directory
        # The newest checkpoint on disk when the values were read or written last: unless another one appears, they are
        # the newest.
        self._seen: tuple[str, int, int] | None = None
        self._live_step: int | None = None
        # Whether the variables were complete when they were warm-started; None before.
        self._warm_started: bool | None = None
        # Counts how often the values were replaced, by those of a checkpoint or by training.
        self._changes = 0
        self._in_training = False

    def complete(self, latest: Checkpoint | None, warm_start: WarmStartSettings | None) -> None:
        """Makes the variables ready to train on from `latest`, or from the start."""
        first_time = not self.model.complete
        self.model.mark_complete()
        read = latest is not None and (first_time or self._is_news(latest))
        if latest is None:
            self._start(warm_start)
        elif read:
            self._read(latest)
        if first_time or read:
            _huge_pages.advise(entry.variable for entry in self.model.store.entries.values())

    def trained(self, checkpoint: Checkpoint | None, step: int) -> None:
        """Notes that training has come to `step`, and the checkpoint that it wrote last, if this process wrote any."""
        self._live_step = step
        self._seen = None if checkpoint is None else checkpoint.stamp
        self._in_training = False

    def unchanged(self) -> Checkpoint | None:
        """Returns the newest checkpoint on disk if the variables hold its values."""
        latest = self._directory.latest()
        return latest if latest is not None and latest.stamp == self._seen else None

    def forget(self) -> None:
        """Notes that the values in memory are about to change: they are those of no checkpoint until `trained`."""
        self._seen = self._live_step = None
        self._changes += 1
        self._in_training = True

    def training_failed(self) -> None:
        """Notes that training has ended otherwise, and the values in memory are those of no checkpoint."""
        self._in_training = False

    def holder(self, path: str | None) -> Callable[[], None]:
        """Returns a function that makes the values those of now again, where something has replaced them since.

        A prediction that waits between two rows needs it: meanwhile the program may train, or read another checkpoint.

        Args:
          path: the checkpoint that has the values of now, or None.

        Raises:
          ValueError: by the function, if no checkpoint has these values any more, or others would be lost.
        """
        changes = self._changes

        def hold() -> None:
            nonlocal changes
            if self._changes == changes:
                return
            unsaved = self._in_training or (self._live_step is not None and self._seen is None)
            if path is None or unsaved or not tf.io.gfile.exists(path + ".index"):
                raise ValueError(
                    "The weights have changed since this prediction began, and those of then cannot be read again"
                    f"{'' if path is None else f' from {path}'}. Take all of its rows before you train, as "
                    "`list(estimator.predict(...))` does."
                )
            self._read(_checkpoints.at(path))
            changes = self._changes

        return hold

    def _is_news(self, checkpoint: Checkpoint) -> bool:
        """Tells whether a checkpoint holds other values than the variables do."""
        if self._seen is None and self._live_step is not None:
            # This process trains and another one writes, perhaps just now: what is on disk may lag behind.
            return checkpoint.step > self._live_step
        return checkpoint.stamp != self._seen

    @contextlib.contextmanager
    def of(
        self,
        path: str | None,
        warm_start: WarmStartSettings | None,
        *,
        live: bool,
        spec: EstimatorSpec | None = None,
        changed: Iterable[str] = (),
    ) -> Iterator[str | None]:
        """Lets the variables have the values of a checkpoint.

        Args:
          path: the checkpoint; None for the newest values.
          warm_start: used where there is no checkpoint at all.
          live: whether training is under way: its values are the newest, and come back at the end.
          changed: names of variables that evaluation or prediction may change: they get their values back, as
            tf.estimator read the checkpoint again for each call.
          spec: the spec whose Scaffold may say that variables get their values by other names.

        Yields:
          The path of the checkpoint whose values they have, as far as it is known.
        """
        restoring = _scaffold.restoring(spec)
        self.model.store.bring_together()
        with self._of(path, warm_start, live=live) as found, self._kept(changed):
            if restoring is None or not restoring.renamed:
                yield found
                return
            on_disk = found if found is not None and tf.io.gfile.exists(found + ".index") else None
            with _checkpoints.renamed(self.model.store, restoring.renamed, on_disk):
                yield found

    @contextlib.contextmanager
    def _kept(self, names: Iterable[str]) -> Iterator[None]:
        entries, changes = self.model.store.entries, self._changes
        values = {name: tf.identity(entries[name].variable.read_value()) for name in names}
        try:
            yield
        finally:
            # Others may have come while a prediction waited between two rows.
            for name, value in values.items() if changes == self._changes else ():
                entries[name].variable.assign(value)

    @contextlib.contextmanager
    def _of(self, path: str | None, warm_start: WarmStartSettings | None, *, live: bool) -> Iterator[str | None]:
        if path is None and live:
            yield self._directory.path(int(self.model.store.global_step.numpy()))
            return
        if path is None:
            yield self._newest(warm_start)
            return
        kept = _checkpoints.snapshot(self.model.store) if live else None
        _checkpoints.read_into(self.model.store, _checkpoints.at(path))
        self._changes += 1
        if not live:
            self._seen = self._live_step = None
        try:
            yield path
        finally:
            if kept is not None:
                _checkpoints.put_back(self.model.store, kept)

    def _newest(self, warm_start: WarmStartSettings | None) -> str | None:
        latest = self._directory.latest()
        if latest is not None and self._is_news(latest):
            latest = _checkpoints.newest_readable(self._directory)
            if latest is not None and self._is_news(latest):
                self._read(latest)
        elif latest is None:
            if int(self.model.store.global_step.numpy()) == 0:
                logger.warning(
                    "There is no checkpoint in %s: the model has its initial weights.", self._directory.model_dir
                )
            self._start(warm_start)
        return None if latest is None else latest.path

    def _read(self, checkpoint: Checkpoint) -> None:
        logger.info("Restoring the checkpoint %s.", checkpoint.path)
        _checkpoints.read_into(self.model.store, checkpoint)
        self._seen, self._live_step = checkpoint.stamp, None
        self._changes += 1

    def _start(self, warm_start: WarmStartSettings | None) -> None:
        # An evaluation before any training knows the model's own variables only: those of the optimizer come later.
        complete = self.model.complete
        if warm_start is not None and self._warm_started in ((None, False) if complete else (None,)):
            warm_start_variables(self.model.store, warm_start, complete=complete)
            self._warm_started = complete
