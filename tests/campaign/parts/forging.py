"""Changes of the content of files, after which their checksums can be made true again."""

import copy
import io
import json
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.campaign.topics import Alarm, alarm

from sidkit._files import UNSEALED, seal
from sidkit.errors import SidkitError

__all__ = ["attempt", "changed", "changed_value", "write_sealed"]

#: Seconds of one attempt.
PATIENCE = 20.0

HOSTILE = [
    0,
    1,
    -1,
    3,
    255,
    2**16,
    2**31 - 1,
    2**31,
    2**63,
    2**64,
    10**400,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "x" * 3000,
    "../x",
    "sid",
    "\ud800",
    "é",
    None,
    True,
    [],
    {},
    [0],
    [[1]],
    {"a": 1},
    [None, "a"],
]
#: Types of tensors, and how many bits a number has.
BITS = {"F64": 64, "I64": 64, "F32": 32, "I32": 32, "F16": 16, "BF16": 16, "U16": 16, "U8": 8, "BOOL": 8}
BITS |= {"F8_E4M3": 8, "F8_E5M2": 8}
COLUMN_TYPES = [
    pa.string(),
    pa.float64(),
    pa.int8(),
    pa.uint64(),
    pa.binary(),
    pa.bool_(),
    pa.list_(pa.int64()),
]


def changed_value(value: Any, rng: np.random.Generator) -> Any:
    """Return JSON with one change somewhere in it."""
    if isinstance(value, dict) and value and rng.integers(8):
        copied = dict(value)
        key = list(copied)[int(rng.integers(len(copied)))]
        if rng.integers(8) == 0:
            del copied[key]
        else:
            copied[key] = changed_value(copied[key], rng)
        return copied
    if isinstance(value, list) and value and rng.integers(4):
        copied_list = list(value)
        place = int(rng.integers(len(copied_list)))
        match rng.integers(5):
            case 0:
                del copied_list[place]
            case 1:
                copied_list.append(copied_list[place])
            case _:
                copied_list[place] = changed_value(copied_list[place], rng)
        return copied_list
    if isinstance(value, str) and value[:1] in "{[" and rng.integers(6):
        try:
            return json.dumps(changed_value(json.loads(value), rng))
        except ValueError:
            pass
    if isinstance(value, int | float) and rng.integers(3) == 0:
        return value + [1, -1, value][int(rng.integers(3))]
    return copy.deepcopy(HOSTILE[int(rng.integers(len(HOSTILE)))])


def changed_safetensors(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a safetensors file with another header, or other numbers."""
    length = int.from_bytes(data[:8], "little")
    header, content = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    names = [name for name in header if name != "__metadata__"]
    name = names[int(rng.integers(len(names)))] if names else "__metadata__"
    match rng.integers(8):
        case 0 | 1 | 2 if "__metadata__" in header:
            kept = dict(header["__metadata__"])
            values = {key: value for key, value in kept.items() if key != "checksum"}
            values = changed_value(values, rng)
            if isinstance(values, dict):
                texts = {str(key): str(value) for key, value in values.items()}
                header["__metadata__"] = (
                    texts | {"checksum": kept["checksum"]} if "checksum" in kept else texts
                )
        case 3 if names:
            # Another type and shape of as many bytes.
            first, last = header[name]["data_offsets"]
            kind = list(BITS)[int(rng.integers(len(BITS)))]
            count = 8 * (last - first) // BITS[kind]
            header[name] |= {"dtype": kind, "shape": [[count], [count, 1], [1, count]][int(rng.integers(3))]}
        case 4 if names:
            header = {("other" if key == name else key): value for key, value in header.items()}
        case 5 if names:
            shape = list(header[name]["shape"])
            header[name]["shape"] = shape[::-1] if rng.integers(2) else [*shape, 1]
        case _ if content:
            place = int(rng.integers(len(content))) & ~3
            for start in range(place, min(len(content), place + 4 * int(rng.integers(1, 4))), 4):
                content[start : start + 4] = hostile_bytes(rng)[: len(content) - start]
    head = json.dumps(header).encode("utf-8", "replace")
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + bytes(content)


def hostile_bytes(rng: np.random.Generator) -> bytes:
    """Return four bytes that are unusual as numbers of several types."""
    numbers = [float("nan"), float("inf"), -1.0, 1e38, 0.0]
    integers = [0, 1, -1, 2**31 - 1, -(2**31), 65_536, 300]
    if rng.integers(2):
        return np.float32(numbers[int(rng.integers(len(numbers)))]).tobytes()
    return np.int32(integers[int(rng.integers(len(integers)))]).tobytes()


def changed_parquet(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a Parquet file with another column, schema or metadata."""
    table = pq.read_table(io.BytesIO(data))
    metadata = dict(table.schema.metadata or {})
    place = int(rng.integers(max(1, table.num_columns)))
    name = table.column_names[place]
    column = table.column(place)
    match rng.integers(9):
        case 0:
            table = table.drop_columns([name])
        case 1:
            table = table.set_column(place, name, pa.nulls(len(table), column.type))
        case 2:
            values = column.to_pylist()
            if values:
                values[int(rng.integers(len(values)))] = None
            table = table.set_column(place, name, pa.array(values, column.type))
        case 3:
            kind = COLUMN_TYPES[int(rng.integers(len(COLUMN_TYPES)))]
            try:
                table = table.set_column(place, name, column.cast(kind))
            except pa.ArrowException:
                table = table.set_column(place, name, pa.nulls(len(table), kind))
        case 4:
            table = table.slice(0, int(rng.integers(len(table) + 1)))
        case 5:
            table = pa.concat_tables([table, table])
        case 6:
            table = table.rename_columns(
                [f"{each}2" if each == name else each for each in table.column_names]
            )
        case 7:
            values = column.to_pylist()
            if values:
                values[int(rng.integers(len(values)))] = changed_value(values[0], rng)
            with suppress(pa.ArrowException, TypeError, ValueError, OverflowError):
                table = table.set_column(place, name, pa.array(values, column.type))
        case _:
            own = {key: value for key, value in metadata.items() if key not in (b"checksum", b"ARROW:schema")}
            texts = {key.decode(): value.decode() for key, value in own.items()}
            other = changed_value(texts, rng)
            if isinstance(other, dict):
                new = {
                    str(key).encode("utf-8", "replace"): str(value).encode("utf-8", "replace")
                    for key, value in other.items()
                }
                metadata = {key: value for key, value in metadata.items() if key == b"checksum"} | new
    if b"checksum" in metadata:
        metadata[b"checksum"] = UNSEALED["checksum"].encode()
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), sink)
    return sink.getvalue()


def changed(data: bytes, name: str, rng: np.random.Generator) -> bytes:
    """Return a changed copy of a file, whose own checksum is not true yet."""
    if name.endswith(".json"):
        return json.dumps(changed_value(json.loads(data), rng)).encode("utf-8", "surrogatepass")
    if data[:4] == b"PAR1":
        return changed_parquet(data, rng)
    return changed_safetensors(data, rng)


def unsealed(data: bytes) -> bytes:
    """Return a file whose checksum counts as missing, so that `seal` completes it."""
    mark = b"sidkit-sha256:"
    place = data.find(mark)
    if place < 0:
        return data
    start = place + len(mark)
    return data[:start] + b"0" * 64 + data[start + 64 :]


def write_sealed(path: Path, data: bytes) -> None:
    """Write a changed file, and make its own checksum true, if it has one."""
    path.write_bytes(unsealed(data))
    with suppress(SidkitError, ValueError):
        seal(path)


def attempt(name: str, use: Callable[[], object], counts: Counter[str]) -> None:
    """Use a forged file, and count what came of it."""
    try:
        with alarm(PATIENCE):
            use()
        counts["accepted"] += 1
    except (SidkitError, OSError, MemoryError):
        counts["refused"] += 1
    except Alarm:
        counts["bad_slow"] += 1
        print(f"{name} took more than {PATIENCE} s", file=sys.stderr)
    except Exception:
        counts["bad_from_inside"] += 1
        print(name, traceback.format_exc()[-1200:], file=sys.stderr)
