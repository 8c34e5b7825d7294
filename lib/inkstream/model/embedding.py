"""Prepared pictures in, the numbers that the network's last layer looks at out: alike pictures have alike numbers.

LiteRT hands out a model's outputs and nothing from between. So the model is rewritten: the same file with another
output, the input of its last fully connected layer (the flatbuffer's schema is TensorFlow Lite's, version 3).
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from inkstream.errors import BundleError
from inkstream.model.bundle import Bundle
from inkstream.model.engine import CHUNK_ROWS, quiet_stderr

_IDENTIFIER = b"TFL3"


class Embedder:
    """The embeddings of one bundle's pictures, on one thread. `size`: numbers a picture.

    A cascade's are those of its last network, which tells the classes best apart.
    """

    def __init__(self, bundle: Bundle) -> None:
        from ai_edge_litert.interpreter import Interpreter

        what = f"the LiteRT model of bundle {bundle.version[:12]}"
        try:
            with quiet_stderr():
                self._interpreter = Interpreter(model_content=embedding_model(bundle.networks[-1]), num_threads=1)
                self._input = self._interpreter.get_input_details()[0]["index"]
                self._output = self._interpreter.get_output_details()[0]["index"]
                shape = self._interpreter.get_input_details()[0]["shape"][1:]
                self._shape = (CHUNK_ROWS, *(int(n) for n in shape))
                self._interpreter.resize_tensor_input(self._input, self._shape)
                self._interpreter.allocate_tensors()
                self._interpreter.invoke()  # a shape that is computed on the way is known only now
        except (ValueError, RuntimeError, IndexError, struct.error) as error:
            raise BundleError(f"{what} gives no embeddings: {error}") from error
        self.bundle = bundle
        self.size = int(self._interpreter.get_tensor(self._output).size) // CHUNK_ROWS

    def embed(self, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """uint8 (N, *input_shape), 0..255 in; float32 (N, size) out.

        Raises:
            ValueError: the array has another shape or type.
        """
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self.bundle.input_shape:
            raise ValueError(
                f"pixels are {pixels.dtype} {pixels.shape}; the model takes uint8 (N, {self.bundle.input_shape})"
            )
        embeddings = np.empty((len(pixels), self.size), np.float32)
        chunk = np.zeros((CHUNK_ROWS, *self.bundle.input_shape), np.float32)
        for start in range(0, len(pixels), CHUNK_ROWS):
            rows = pixels[start : start + CHUNK_ROWS]
            chunk[: len(rows)] = rows
            self._interpreter.set_tensor(self._input, chunk.reshape(self._shape))
            self._interpreter.invoke()
            found = self._interpreter.get_tensor(self._output).reshape(CHUNK_ROWS, self.size)
            embeddings[start : start + len(rows)] = found[: len(rows)]
        return embeddings


def embedding_model(tflite: bytes) -> bytes:
    """A LiteRT model in, the same with the input of its last fully connected layer as its only output out.

    Raises:
        ValueError: it has no such layer.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(tflite, 0)
    graph = model.subgraphs[0]
    wanted = schema.BuiltinOperator.FULLY_CONNECTED
    # The first of the two fields is what files had before TensorFlow 2.4.
    codes = [max(code.deprecatedBuiltinCode, code.builtinCode) for code in model.operatorCodes]
    layers = [operator for operator in graph.operators if codes[operator.opcodeIndex] == wanted]
    if not layers:
        raise ValueError("it has no fully connected layer, whose input an embedding would be")
    graph.outputs = np.array([layers[-1].inputs[0]], np.int32)
    model.signatureDefs = None  # they name the outputs of before
    builder = flatbuffers.Builder(len(tflite))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())
