"""Builds an ONNX graph, node by node.

`onnx` itself is imported when a graph is written, so that this module costs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stacktune.errors import ConfigError

# Versions of operator sets: RegexFullMatch came with 20, TreeEnsemble (sets of levels, double thresholds) with ml 5.
OPSET, ML_OPSET, IR_VERSION = 21, 5, 10
ML = "ai.onnx.ml"
ROWS = "rows"
# A protobuf message ends here; larger models would need files beside the graph.
MAX_BYTES = 2**31 - 2**20
INSTALL = 'pip install "stacktune[onnx]"'


def need_onnx() -> None:
    """Raise ConfigError where the libraries are missing."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"--format onnx needs the library {error.name!r}, which is not installed: {INSTALL}"
        ) from None


class Graph:
    """A graph that grows.

    Its values are called by names.
    """

    def __init__(self, taken: frozenset[str] = frozenset()):
        """Begin an empty graph.

        taken: names that values of its own must not have.
        """
        self._taken = set(taken)
        self._count = 0
        self._nodes: list[Any] = []
        self._constants: dict[Any, str] = {}
        self._tensors: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def name(self) -> str:
        """Return a name that no value has."""
        while True:
            self._count += 1
            name = f"v{self._count}"
            if name not in self._taken:
                return name

    def const(self, array: Any, dtype: Any = None) -> str:
        """Return a constant's name; equal ones share one."""
        from onnx.numpy_helper import from_array

        array = np.asarray(array, dtype=dtype)
        array = array.astype(object) if array.dtype.kind == "U" else np.ascontiguousarray(array).reshape(array.shape)
        content = tuple(array.ravel()) if array.dtype == object else array.tobytes()
        key = (array.dtype.str, array.shape, content)
        if key not in self._constants:
            self._constants[key] = name = self.name()
            self._tensors.append(from_array(array, name))
        return self._constants[key]

    def op(self, kind: str, *inputs: str, domain: str = "", n_outputs: int = 1, **attributes: Any) -> str:
        """Add a node; return its first output's name."""
        from onnx.helper import make_node

        outputs = [self.name() for _ in range(n_outputs)]
        self._nodes.append(make_node(kind, list(inputs), outputs, domain=domain, **attributes))
        return outputs[0]

    def cast(self, value: str, dtype: Any) -> str:
        """Return a value as another NumPy type."""
        from onnx.helper import np_dtype_to_tensor_dtype

        return self.op("Cast", value, to=np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def take(self, value: str, places: Any, axis: int) -> str:
        """Return some positions of a value along an axis."""
        return self.op("Gather", value, self.const(places, np.int64), axis=axis)

    def join(self, parts: list[str], axis: int) -> str:
        """Return values beside one another."""
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=axis)

    def shaped(self, value: str, *shape: int) -> str:
        """Return a value in another shape."""
        return self.op("Reshape", value, self.const(shape, np.int64))

    def slice(self, value: str, start: str, end: str, axis: int) -> str:
        """Return a stretch of a value.

        Its ends are names of (1,) int64.
        """
        return self.op("Slice", value, start, end, self.const([axis], np.int64))

    def reduced(self, kind: str, value: str, axis: int, keepdims: bool = False) -> str:
        """Return a value without an axis, e.g. by "ReduceSum"."""
        return self.op(kind, value, self.const([axis], np.int64), keepdims=int(keepdims))

    def where(self, condition: str, yes: str, no: str) -> str:
        """Return one value or the other."""
        return self.op("Where", condition, yes, no)

    def n_rows(self, value: str) -> str:
        """Return a value's number of rows, (1,) int64."""
        return self.op("Shape", value, start=0, end=1)

    def input(self, name: str, dtype: Any, width: int = 1) -> str:
        """Declare an input, (rows, width).

        dtype: `str` or a NumPy type.
        """
        from onnx.helper import make_tensor_value_info

        self._inputs.append(make_tensor_value_info(name, _type_of(dtype), [ROWS, width]))
        return name

    def output(self, name: str, value: str, dtype: Any, width: int | None = None) -> None:
        """Declare an output: (rows,), or (rows, width)."""
        from onnx.helper import make_node, make_tensor_value_info

        self._nodes.append(make_node("Identity", [value], [name]))
        shape: list[str | int | None] = [ROWS] if width is None else [ROWS, width]
        self._outputs.append(make_tensor_value_info(name, _type_of(dtype), shape))

    def write(self, path: Path, name: str, about: dict[str, str]) -> None:
        """Write the graph with its metadata.

        Raises ConfigError where it is larger than ONNX files get.
        """
        from onnx.helper import make_graph, make_model, make_opsetid, set_model_props

        graph = make_graph(self._nodes, name, self._inputs, self._outputs, self._tensors)
        opsets = [make_opsetid("", OPSET), make_opsetid(ML, ML_OPSET)]
        model = make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="stacktune")
        set_model_props(model, about)
        n_bytes = model.ByteSize()
        if not 0 <= n_bytes < MAX_BYTES:
            raise ConfigError(
                "the graph is larger than the 2 GB that an ONNX file may have. Make one small model of this one "
                "(stacktune distil), or run with --max-model-mb."
            )
        path.write_bytes(model.SerializeToString())


def _type_of(dtype: Any) -> int:
    from onnx import TensorProto
    from onnx.helper import np_dtype_to_tensor_dtype

    return TensorProto.STRING if dtype is str else np_dtype_to_tensor_dtype(np.dtype(dtype))
