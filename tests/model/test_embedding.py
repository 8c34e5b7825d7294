from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from inkstream.errors import BundleError
from inkstream.model.bundle import Bundle, load_bundle, shipped_bundle
from inkstream.model.embedding import Embedder, embedding_model
from inkstream.model.engine import LiteRtEngine, calibrated


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(shipped_bundle())


def _last_layer(tflite: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The weights (8-bit, with a scale for each class) and the bias of a model's last layer, read from its file."""
    model = schema.ModelT.InitFromPackedBuf(tflite, 0)
    graph = model.subgraphs[0]
    _, weights, bias = (graph.tensors[n] for n in graph.operators[-1].inputs)
    rounded = np.frombuffer(model.buffers[weights.buffer].data.tobytes(), np.int8).reshape(weights.shape)
    scales = np.asarray(weights.quantization.scale, np.float32).reshape(-1, 1)
    return rounded * scales, np.frombuffer(model.buffers[bias.buffer].data.tobytes(), np.float32)


def test_the_last_layer_makes_the_models_own_answers_of_the_embeddings(bundle: Bundle) -> None:
    pixels = bundle.golden.pixels
    embeddings = Embedder(bundle).embed(pixels)
    weights, bias = _last_layer(bundle.networks[-1])
    answers = calibrated(embeddings @ weights.T + bias, 1.0)
    assert embeddings.dtype == np.float32
    last = calibrated(LiteRtEngine(bundle).logits(pixels, len(bundle.cascade)), 1.0)
    apart = np.abs(answers - last)
    assert apart.max() < 0.05  # the model rounds the embeddings to 8 bits too
    assert apart.mean() < 1e-3


def test_a_pictures_embedding_does_not_depend_on_the_others(bundle: Bundle) -> None:
    embedder = Embedder(bundle)
    pixels = bundle.golden.pixels
    alone = np.concatenate([embedder.embed(pixels[row : row + 1]) for row in range(len(pixels))])
    assert np.array_equal(embedder.embed(pixels), alone)
    assert embedder.embed(pixels[:0]).shape == (0, embedder.size)


def test_pixels_of_another_shape_are_refused(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="the model takes uint8"):
        Embedder(bundle).embed(np.zeros((2, 14, 14), np.uint8))


def test_a_model_that_gives_no_embeddings_is_refused_by_name(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=f"bundle {bundle.version[:12]} gives no embeddings"):
        Embedder(replace(bundle, networks=(embedding_model(bundle.networks[-1])[:1000],)))
