"""A recipe's name in; its untrained network and how it is trained out. Building one imports TensorFlow, no sooner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inkstream.errors import SettingError

BATCH_MEMORY = 0.95  # of the batch statistics: Keras's 0.99 needs more steps than a small training has


@dataclass(frozen=True, slots=True)
class Recipe:
    """`build(input_shape, classes)` gives a keras.Model: float32 (N, *input_shape), 0..255 in, logits out."""

    name: str
    build: Callable[[tuple[int, ...], int], Any]
    batch: int
    learning_rate: float  # the highest; warmed up to, then falling along a cosine
    weight_decay: float
    label_smoothing: float


def recipe_named(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        SettingError: there is none.
    """
    if name not in RECIPES:
        raise SettingError(f"There is no recipe {name!r}; there are: {', '.join(RECIPES)}")
    return RECIPES[name]


def build_cnn(input_shape: tuple[int, ...], classes: int) -> Any:
    """The default: strides at once to 7x7, where depth is cheap; 50,000 weights, a million multiplications."""
    from keras import Input, Model, layers

    def conv(x: Any, filters: int, kernel: int, strides: int = 1) -> Any:
        x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=BATCH_MEMORY)(x))

    def separable(x: Any, filters: int, strides: int = 1) -> Any:
        depthwise = layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False)(x)
        return conv(layers.ReLU()(layers.BatchNormalization(momentum=BATCH_MEMORY)(depthwise)), filters, 1)

    inputs = Input(input_shape)
    x = inputs if len(input_shape) == 3 else layers.Reshape((*input_shape, 1))(inputs)
    x = layers.Rescaling(1 / 255)(x)
    x = conv(x, 16, 5, 2)
    x = conv(x, 48, 3, 2)
    x = separable(x, 64)
    x = layers.Add()([x, separable(x, 64)])
    x = separable(x, 96, 2)
    x = layers.Add()([x, separable(x, 96)])
    x = layers.Dropout(0.2)(layers.Flatten()(x))
    return Model(inputs, layers.Dense(classes)(x), name="cnn")


RECIPES = {"cnn": Recipe("cnn", build_cnn, batch=128, learning_rate=3e-3, weight_decay=1e-4, label_smoothing=0.02)}
