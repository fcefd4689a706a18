"""From whatever holds a column of values to a NumPy array or to dictionary-coded strings.

Missing values (None, NaN, NaT, `pandas.NA`, nulls) become "" in columns of strings and NaN in columns of numbers: whole
numbers with gaps become float64, booleans with gaps float32. Dates and times become seconds since 1970. What has no
clear meaning as a model's input is refused, with the column and the first bad value named.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

_INTEGERS = (int, np.integer)
_FLOATS = (float, np.floating)
# float64 holds whole numbers up to this one exactly.
_LARGEST_EXACT = 2**53


@dataclasses.dataclass(frozen=True)
class Coded:
    """A string column: `values[codes]`. Shapes: codes int32 `[rows, ...]`, values one byte string for each code."""

    codes: npt.NDArray[np.int32]
    values: Sequence[bytes]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the column, rows first."""
        return self.codes.shape

    def __len__(self) -> int:
        return len(self.codes)

    def strings(self) -> npt.NDArray[Any]:
        """Returns the strings themselves, an array of bytes objects."""
        values = np.empty(len(self.values), object)
        values[:] = list(self.values)
        return values[self.codes] if len(values) else np.empty(self.shape, object)


Column = npt.NDArray[Any] | Coded


def read(name: str, values: Any) -> Column:
    """Returns the column `name` from an array, a list, a tensor, or a pandas, polars or Arrow column.

    Raises:
      ValueError: the values are of no type that a model can take, of mixed types, or of different lengths.
    """
    check_is_column(name, values)
    for module, type_names, convert in (
        ("pandas", ("Series", "Index"), _from_pandas),
        ("polars", ("Series",), _from_polars),
        ("pyarrow", ("Array", "ChunkedArray"), _from_arrow),
    ):
        if _is_instance(values, module, type_names):
            return convert(name, values)
    if isinstance(values, tf.SparseTensor | tf.RaggedTensor):
        raise ValueError(
            f"Column {name!r} is a {type(values).__name__}; data in memory must be dense. Pad it to one length "
            "('' or -1 where a value is missing), or build a `tf.data.Dataset` and use `from_dataset`."
        )
    if isinstance(values, Coded):
        return values
    if isinstance(values, np.ma.MaskedArray):
        values = _without_mask(values)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(values, pandas.api.extensions.ExtensionArray):
        return _from_pandas(name, pandas.Series(values))
    return _from_array(name, _as_array(name, values))


def check_is_column(name: str, values: Any) -> None:
    """Raises if `values` is a container that is no column, such as a dict or a sparse matrix of SciPy."""
    what, remedy = "", ""
    scipy = sys.modules.get("scipy.sparse")
    if scipy is not None and scipy.issparse(values):
        what = f"a sparse matrix of SciPy, of shape {values.shape}"
        remedy = (
            "Make it dense with `.toarray()`; or give the column numbers of each row as a column of ids, and their "
            "values as its weights (`weighted_categorical_column`)."
        )
    elif isinstance(values, Mapping):
        what = f"a dict with the keys {_short(sorted(map(str, values)))}"
        inner = f"{name}/{next(iter(values), 'key')}"
        remedy = f"Columns are not nested: give each a name of its own, such as {inner!r}."
    elif isinstance(values, set | frozenset):
        what, remedy = "a set, which has no order", "Make it a list or an array, in the order of the rows."
    elif isinstance(values, np.ndarray) and values.dtype.names:
        what = f"a structured array with the fields {list(values.dtype.names)}"
        remedy = "Give each field as a column: `{field: array[field] for field in array.dtype.names}`."
    if what:
        raise ValueError(
            f"Column {name!r} must have one value, or a row of values, for each row. Received: {what}. {remedy}"
        )


def of_frame(frame: Any) -> dict[str, Any]:
    """Returns the columns of a data frame by name, of whichever library it is.

    Raises:
      ValueError: it is none, or its names are no strings or repeat.
    """
    if isinstance(frame, Mapping):
        return dict(frame)
    if hasattr(frame, "column_names") and hasattr(frame, "column"):
        names = list(frame.column_names)
        unique(names, "the Arrow table")
        return {name: frame.column(number) for number, name in enumerate(names)}
    if hasattr(frame, "iloc") and hasattr(frame, "columns"):
        names = list(frame.columns)
        unique(names, "the pandas data frame")
        return {name: frame.iloc[:, number] for number, name in enumerate(names)}
    if hasattr(frame, "get_column") and hasattr(frame, "columns"):
        return {name: frame.get_column(name) for name in frame.columns}
    collect = " Call `collect()` on it first." if hasattr(frame, "collect") else ""
    raise ValueError(
        "`frame` must be a pandas or polars data frame, an Arrow table, or a dict of columns. "
        f"Received: {type(frame).__name__}.{collect}"
    )


def unique(names: Sequence[Any], where: str) -> None:
    """Raises if a name comes twice or is not a string."""
    seen = set()
    for name in names:
        if not isinstance(name, str):
            raise ValueError(
                f"Column names must be strings, in {where}. Received: {name!r} ({type(name).__name__}). "
                "Rename the columns, for example to 'x0', 'x1'."
            )
        if name in seen:
            raise ValueError(
                f"The column name {name!r} comes more than once in {where}. Give each column its own name."
            )
        seen.add(name)


def _is_instance(value: Any, module: str, type_names: Sequence[str]) -> bool:
    """Whether `value` is of one of these types; a library that is not imported yet cannot have made it."""
    library = sys.modules.get(module)
    types = tuple(kind for kind in (getattr(library, name, None) for name in type_names) if isinstance(kind, type))
    return bool(types) and isinstance(value, types)


def _as_array(name: str, values: Any) -> npt.NDArray[Any]:
    if isinstance(values, str | bytes) or not (hasattr(values, "__len__") or hasattr(values, "__array__")):
        raise ValueError(
            f"Column {name!r} must be an array or a list with one value for each row. Received: {_short(values)}."
        )
    if isinstance(values, np.ndarray):
        return values
    if isinstance(values, Sequence) and any(
        isinstance(value, str | bytes | type(None)) for value in itertools.islice(values, 1000)
    ):
        # np.asarray would turn numbers beside strings into strings.
        array = np.empty(len(values), object)
        array[:] = list(values)
        return array
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(_ragged(name, list(values))) from error


def _without_mask(values: Any) -> npt.NDArray[Any]:
    """Returns a masked array as one of objects, None where it is masked; as it is where nothing is."""
    if not np.ma.is_masked(values):
        return np.asarray(values.data)
    objects = values.data.astype(object)
    objects[np.ma.getmaskarray(values)] = None
    return np.asarray(objects)


def _check_exact(name: str, numbers: npt.NDArray[Any]) -> None:
    """Raises if float64, which holds whole numbers with gaps, would change one of these."""
    largest = max((abs(int(number)) for number in (numbers.min(), numbers.max())), default=0) if len(numbers) else 0
    if largest > _LARGEST_EXACT:
        raise ValueError(
            f"Column {name!r} holds whole numbers beyond 2**53, such as {largest}, and missing values. Numbers with "
            "gaps become float64, which cannot tell such numbers apart. Fill the gaps in, or make the column strings."
        )


def _from_array(name: str, array: npt.NDArray[Any]) -> Column:
    if array.ndim == 0:
        raise ValueError(
            f"Column {name!r} must have one value for each row, but is a single value (rank 0). "
            f"Received: {_short(array)}."
        )
    if array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
        return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False))
    if array.dtype.kind in "USOT":
        return _from_objects(name, array)
    if array.dtype.kind == "M":
        return seconds(array)
    if array.dtype.kind == "m":
        raise ValueError(_no_input(name, "durations", array.dtype))
    raise ValueError(f"Column {name!r} has type {array.dtype}; it must be of booleans, integers, floats or strings.")


def seconds(times: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Returns datetime64 values as seconds since 1970-01-01 (UTC), NaN for NaT.

    float64 holds them to a microsecond; float32 would to two minutes only.
    """
    # In whole microseconds first: a finer unit would lose digits on its way to float64.
    numbers = times.astype("M8[us]").astype(np.int64) / 1e6
    return np.where(np.isnat(times), np.nan, numbers)


def _no_input(name: str, what: str, dtype: Any) -> str:
    return (
        f"Column {name!r} holds {what} ({dtype}), which are no model input. "
        "Turn them into numbers first, for example seconds since a day, or day of the week and hour."
    )


def _is_missing(value: Any) -> bool:
    return value is None or value is getattr(sys.modules.get("pandas"), "NA", None) or bool(value != value)


def _from_objects(name: str, array: npt.NDArray[Any]) -> Column:
    """A column of Python objects, or of NumPy strings."""
    flat: list[Any] = array.ravel().tolist()
    kinds = set(map(type, flat))
    if any(issubclass(kind, list | tuple | np.ndarray) or hasattr(kind, "to_list") for kind in kinds):
        return _from_lists(name, array)
    text = {kind for kind in kinds if issubclass(kind, str | bytes)}
    others = kinds - text
    if text and len(text) == 1:
        if not others:
            return _coded(flat, array.shape)
        missing = [position for position, value in enumerate(flat) if not isinstance(value, str | bytes)]
        for position in missing:
            if not _is_missing(flat[position]):
                raise ValueError(_mixed(name, flat, array.shape))
            flat[position] = ""
        return _coded(flat, array.shape)
    if text:
        raise ValueError(_mixed(name, flat, array.shape))
    return _from_numbers(name, flat, array.shape)


def _from_numbers(name: str, flat: list[Any], shape: tuple[int, ...]) -> Column:
    """Python numbers or booleans, with gaps."""
    gaps = np.fromiter((_is_missing(value) for value in flat), bool, len(flat))
    kinds = set(map(type, itertools.compress(flat, ~gaps)))
    if not kinds and flat:
        # Nothing but gaps: whole numbers, or strings, or floats; float64 with NaN is taken for each of them.
        return np.full(shape, np.nan, np.float64)
    if all(issubclass(kind, bool | np.bool_) for kind in kinds):
        dtype: Any = np.float32 if gaps.any() else np.bool_
    elif any(issubclass(kind, bool | np.bool_) for kind in kinds) or not all(
        issubclass(kind, _INTEGERS + _FLOATS) for kind in kinds
    ):
        raise ValueError(_mixed(name, flat, shape))
    else:
        dtype = np.int64 if not gaps.any() and all(issubclass(kind, _INTEGERS) for kind in kinds) else np.float64
    if not gaps.any():
        try:
            return np.array(flat, dtype).reshape(shape)
        except OverflowError:
            raise ValueError(
                f"Column {name!r} holds whole numbers beyond 64 bits. Divide them, or make them strings."
            ) from None
    known = list(itertools.compress(flat, ~gaps))
    if all(issubclass(kind, _INTEGERS) and not issubclass(kind, bool | np.bool_) for kind in kinds):
        _check_exact(name, np.array(known, object))
    out = np.full(len(flat), np.nan, dtype)
    out[~gaps] = np.array(known, dtype)
    return out.reshape(shape)


def _from_lists(name: str, array: npt.NDArray[Any]) -> Column:
    """A column whose cells are lists: equal lengths make one more axis."""
    rows = [
        row.tolist() if hasattr(row, "tolist") else row.to_list() if hasattr(row, "to_list") else row
        for row in array.ravel()
    ]
    lengths = {len(row) if isinstance(row, list | tuple) else -1 for row in rows}
    if len(lengths) != 1 or array.ndim != 1:
        raise ValueError(_ragged(name, rows))
    inner = _as_array(name, list(itertools.chain.from_iterable(rows)))
    column = _from_array(name, inner)
    if isinstance(column, Coded):
        return Coded(column.codes.reshape(len(rows), -1, *column.codes.shape[1:]), column.values)
    return column.reshape(len(rows), -1, *column.shape[1:])


def _coded(flat: list[Any], shape: tuple[int, ...]) -> Coded:
    distinct = {value: code for code, value in enumerate(dict.fromkeys(flat))}
    codes = np.fromiter(map(distinct.__getitem__, flat), np.int32, len(flat)).reshape(shape)
    return Coded(codes, [value if isinstance(value, bytes) else value.encode() for value in distinct])


def _mixed(name: str, flat: list[Any], shape: tuple[int, ...]) -> str:
    """The message for a column of several types: names the first value that does not fit the first one."""
    width = max(1, len(flat) // max(1, shape[0]))
    known = [(position, value) for position, value in enumerate(flat) if not _is_missing(value)]
    first = known[0]
    kind = next((t for t in (bool | np.bool_, _INTEGERS + _FLOATS, str, bytes) if isinstance(first[1], t)), None)
    if kind is None:
        return (
            f"Column {name!r} holds {_short(first[1])} ({type(first[1]).__name__}) in row {first[0] // width}; "
            "it must be of booleans, integers, floats or strings."
        )
    bools = kind == bool | np.bool_
    other = next(v for v in known if not isinstance(v[1], kind) or (isinstance(v[1], bool | np.bool_) and not bools))
    return (
        f"Column {name!r} mixes types: {_short(first[1])} ({type(first[1]).__name__}) in row {first[0] // width}, "
        f"{_short(other[1])} ({type(other[1]).__name__}) in row {other[0] // width}. "
        "Make it one type, for example with `column.astype(str)`."
    )


def _ragged(name: str, rows: Iterable[Any]) -> str:
    lengths = [(len(row) if hasattr(row, "__len__") and not isinstance(row, str | bytes) else None) for row in rows]
    other = next((n for n, length in enumerate(lengths) if length != lengths[0]), 0)

    def text(length: int | None) -> str:
        return "a single value" if length is None else f"{length} values"

    return (
        f"Column {name!r} is ragged: row 0 holds {text(lengths[0])}, row {other} {text(lengths[other])}. "
        "Pad the rows to one length ('' or -1 where a value is missing), "
        "or build a `tf.data.Dataset` and use `from_dataset`."
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _from_pandas(name: str, series: Any) -> Column:
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        codes = np.asarray(series.cat.codes if hasattr(series, "cat") else series.codes)
        return _taken(name, codes, _as_array(name, dtype.categories.tolist()))
    if isinstance(dtype, pd.StringDtype):
        codes, values = pd.factorize(series)
        return _taken(name, codes, np.asarray(list(values), dtype=object))
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        if isinstance(dtype, np.dtype):
            return _from_array(name, series.to_numpy())
        gaps = bool(series.isna().any())
        if pd.api.types.is_bool_dtype(dtype):
            return _from_array(
                name, series.to_numpy(np.float32, na_value=np.nan) if gaps else series.to_numpy(np.bool_)
            )
        if hasattr(dtype, "numpy_dtype") and dtype.numpy_dtype.kind in "iuf":
            wide = dtype.numpy_dtype if dtype.numpy_dtype.kind == "f" else np.float64
            if gaps and wide is np.float64:
                _check_exact(name, series.dropna().to_numpy(dtype.numpy_dtype))
            return _from_array(
                name, series.to_numpy(wide, na_value=np.nan) if gaps else series.to_numpy(dtype.numpy_dtype)
            )
        raise ValueError(
            f"Column {name!r} has type {dtype}; make it numbers, for example with `column.astype('float64')`."
        )
    if isinstance(dtype, pd.PeriodDtype):
        raise ValueError(_no_input(name, "periods", dtype))
    if isinstance(dtype, pd.DatetimeTZDtype):
        return seconds(series.to_numpy("M8[ns]"))
    return _from_array(name, series.to_numpy())


def _taken(name: str, codes: npt.NDArray[Any], categories: npt.NDArray[Any]) -> Column:
    """The column `categories[codes]`, where code -1 stands for a missing value."""
    gaps = codes < 0
    if not len(categories):
        return Coded(np.zeros(codes.shape, np.int32), [b""])
    values = _from_array(name, categories)
    if isinstance(values, Coded):
        # The categories are distinct, so that their own codes are 0, 1, 2, ...
        if not gaps.any():
            return Coded(codes.astype(np.int32), values.values)
        return Coded(np.where(gaps, len(values.values), codes).astype(np.int32), [*values.values, b""])
    if not gaps.any():
        whole: npt.NDArray[Any] = values[codes]
        return whole
    kind: Any = np.float32 if values.dtype.kind == "b" else values.dtype if values.dtype.kind == "f" else np.float64
    if values.dtype.kind in "iu":
        _check_exact(name, values)
    wide: npt.NDArray[Any] = values.astype(kind)
    wide = wide[codes]
    wide[gaps] = np.nan
    return wide


def _from_polars(name: str, series: Any) -> Column:
    import polars as pl

    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if series.dtype == pl.String:
        distinct = series.unique(maintain_order=True).drop_nulls()
        codes = series.replace_strict(
            distinct, pl.Series(range(len(distinct)), dtype=pl.Int32), default=-1, return_dtype=pl.Int32
        )
        return _taken(name, codes.to_numpy(), np.asarray(distinct.to_list(), dtype=object))
    if series.dtype == pl.Time:
        raise ValueError(_no_input(name, "times of day", series.dtype))
    if series.dtype in (pl.Struct, pl.Object):
        raise ValueError(
            f"Column {name!r} has type {series.dtype}; it must be of booleans, integers, floats or strings."
        )
    if series.dtype.is_integer() and series.null_count():
        _check_exact(name, series.drop_nulls().to_numpy())
    return _from_array(name, series.to_numpy())


def _from_arrow(name: str, column: Any) -> Column:
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    kind = column.type
    is_text: Callable[[Any], bool] = lambda t: (  # noqa: E731
        pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_string_view(t) or pa.types.is_binary(t)
    )
    if is_text(kind):
        column = column.dictionary_encode()
    if pa.types.is_dictionary(column.type):
        codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return _taken(name, codes, _as_array(name, column.dictionary.to_pylist()))
    if pa.types.is_fixed_size_list(kind) and not column.null_count:
        inner = _from_arrow(name, column.flatten())
        if isinstance(inner, Coded):
            return Coded(inner.codes.reshape(-1, kind.list_size), inner.values)
        return inner.reshape(-1, kind.list_size)
    if pa.types.is_time(kind):
        raise ValueError(_no_input(name, "times of day", kind))
    if pa.types.is_integer(kind) and column.null_count:
        _check_exact(name, column.drop_null().to_numpy(zero_copy_only=False))
    return _from_array(name, column.to_numpy(zero_copy_only=False))
