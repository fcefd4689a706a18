"""From arrays, data frames and files to batches for a model.

`from_arrays`, `from_dataframe` and `from_csv` make a `Pipeline`, which an estimator takes in place of an `input_fn`.
"""

from __future__ import annotations

from headway import _backend as _backend
from headway.input_pipelines._arrays import from_arrays as from_arrays
from headway.input_pipelines._arrays import from_dataframe as from_dataframe
from headway.input_pipelines._csv import from_csv as from_csv
from headway.input_pipelines._interface import Pipeline as Pipeline
from headway.input_pipelines._streams import from_dataset as from_dataset
from headway.input_pipelines._streams import from_tensors as from_tensors

__all__ = ["Pipeline", "from_arrays", "from_csv", "from_dataframe", "from_dataset", "from_tensors"]
