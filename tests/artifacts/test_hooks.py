"""Values in artifacts: JSON, bytes, pickles, arrays, tables."""

import threading

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from asyncexec.artifacts import (
    array_from_artifact,
    array_to_artifact,
    bytes_from_artifact,
    bytes_to_artifact,
    dataframe_from_artifact,
    dataframe_to_artifact,
    get_artifact,
    json_from_artifact,
    json_to_artifact,
    pickle_from_artifact,
    pickle_to_artifact,
    value_from_artifact,
)
from asyncexec.errors import ArtifactNotFoundError, OptionError, SerializationError

FRAME = pd.DataFrame({"a": [1, 2, 3, 4, 5], "b": ["x", "y", "z", "ü", ""]}, index=list("vwxyz"))
TABLE = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]})


@pytest.fixture
def artifact(tmp_path):
    return get_artifact("value", base_path=str(tmp_path), create=True)


def names(artifact):
    return [file.name for file in artifact]


@pytest.mark.parametrize(
    "save, load, value, files",
    [
        (json_to_artifact(), json_from_artifact(), {"a": [1, None]}, ["file.json"]),
        (json_to_artifact("r"), json_from_artifact("r"), "text", ["r.json"]),
        (bytes_to_artifact(), bytes_from_artifact(), b"\x00abc", ["file.bin"]),
        (pickle_to_artifact(), pickle_from_artifact(), {1, (2,)}, ["file.pkl"]),
    ],
)
def test_a_value_comes_back_by_its_hook_and_without_any(artifact, save, load, value, files):
    save(artifact, value)
    assert load(artifact) == value_from_artifact(artifact) == value
    assert names(artifact) == files


@pytest.mark.parametrize("kind", ["npy", "zarr"])
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("dtype", ["f8", "i2", "bool", "M8[ns]", "<U3"])
def test_an_array_comes_back(artifact, kind, parts, dtype):
    array = np.arange(10).reshape(5, 2).astype("i8").astype(dtype)
    array_to_artifact(kind, num_parts=parts)(artifact, array)
    assert names(artifact) == [f"partition-{n}.{kind}" for n in range(parts)]
    assert artifact["value_type"] == "numpy.ndarray"
    for found in (array_from_artifact()(artifact), value_from_artifact(artifact)):
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype


def test_a_scalar_array_comes_back(artifact):
    array_to_artifact(num_parts=3)(artifact, np.float32(2.5))
    assert array_from_artifact("npy")(artifact) == np.float32(2.5)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("parts", [1, 2, 7])
def test_a_table_of_pandas_comes_back(artifact, kind, parts):
    frame = FRAME if kind == "parquet" else FRAME.replace("", "w")
    dataframe_to_artifact(kind, num_parts=parts)(artifact, frame)
    assert artifact["value_type"] == "pandas.DataFrame"
    for found in (dataframe_from_artifact()(artifact), value_from_artifact(artifact)):
        pd.testing.assert_frame_equal(found, frame, check_dtype=parts < 6)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_table_of_arrow_comes_back(artifact, kind):
    dataframe_to_artifact(kind, num_parts=2)(artifact, TABLE)
    assert dataframe_from_artifact()(artifact).equals(TABLE)
    assert value_from_artifact(artifact).equals(TABLE)


def test_files_that_others_have_written_are_read_by_their_format(artifact):
    FRAME.to_parquet(f"{artifact.path}/partition-0.parquet")
    artifact["value_type"] = "pandas.DataFrame"
    pd.testing.assert_frame_equal(dataframe_from_artifact("parquet")(artifact), FRAME)
    with pytest.raises(ArtifactNotFoundError, match="no part of format 'orc'"):
        dataframe_from_artifact("orc")(artifact)


def test_orc_is_read(artifact):
    FRAME.reset_index(drop=True).to_orc(f"{artifact.path}/partition-0.orc")
    artifact["value_type"] = "pandas.DataFrame"
    assert dataframe_from_artifact("orc")(artifact)["b"].tolist() == FRAME["b"].tolist()


@pytest.mark.parametrize(
    "save, value, message",
    [
        (json_to_artifact(), {1, 2}, "is no JSON"),
        (json_to_artifact(), float("nan"), None),
        (bytes_to_artifact(), "text", "a str is no bytes"),
        (pickle_to_artifact(), threading.Lock(), "a lock cannot be pickled"),
        (array_to_artifact(), np.array([object()]), "Python objects"),
        (dataframe_to_artifact(), [1, 2], "a list is no table"),
    ],
)
def test_what_a_hook_cannot_save_is_refused(artifact, save, value, message):
    if message is None:
        save(artifact, value)
        return
    with pytest.raises(SerializationError, match=message):
        save(artifact, value)


def test_the_wrong_hook_is_refused_by_what_is_there(artifact):
    with pytest.raises(OptionError, match="holds no value, not json"):
        json_from_artifact()(artifact)
    json_to_artifact()(artifact, 1)
    with pytest.raises(OptionError, match=r"holds json, not numpy\.ndarray"):
        array_from_artifact()(artifact)
    artifact["value_type"] = "of mine"
    with pytest.raises(OptionError, match="holds of mine, which a function of its own"):
        value_from_artifact(artifact)


@pytest.mark.parametrize("make", [array_to_artifact, dataframe_to_artifact])
def test_an_unknown_format_is_refused(make):
    with pytest.raises(OptionError, match="format must be"):
        make("xlsx")
    with pytest.raises(OptionError, match="num_parts must be"):
        make(num_parts=0)
