"""A recipe's name in; its untrained network and how it is trained out. Building one imports TensorFlow, no sooner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inkstream.errors import SettingError
from inkstream.model.optimisers import Pace, adam_in_steps, adamw_along_a_cosine, sgd_that_decays, steady_adam
from inkstream.model.resnet import build_resnet

BATCH_MEMORY = 0.95  # of the batch statistics: Keras's 0.99 needs more steps than a small training has


@dataclass(frozen=True, slots=True)
class Recipe:
    """`build(input_shape, classes)` gives a keras.Model: float32 (N, *input_shape), 0..255 in, logits out.

    Whoever trains may name other figures than these. augmented: the pictures, anew in each epoch. quantised: its
    LiteRT form has 8-bit weights, and is three times as quick. patience: epochs without a better one before it stops;
    0: never, since a rate that falls along a cosine has to come down.
    """

    name: str
    build: Callable[[tuple[int, ...], int], Any]
    batch: int
    learning_rate: float  # the highest
    epochs: int
    optimiser: Callable[[Pace], Any] = adamw_along_a_cosine
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augmented: bool = True
    quantised: bool = False
    patience: int = 0


def recipe_named(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        SettingError: there is none.
    """
    if name not in RECIPES:
        raise SettingError(f"There is no recipe {name!r}; there are: {', '.join(RECIPES)}")
    return RECIPES[name]


def build_cnn(input_shape: tuple[int, ...], classes: int) -> Any:
    """The default: strides at once to 7x7; 50,000 weights, 1.4 million multiplications."""
    return _strided("cnn", input_shape, classes, widths=(12, 32, 64), residuals=2)


def build_wide(input_shape: tuple[int, ...], classes: int) -> Any:
    """A teacher for `cnn`: the same with five times the weights and seven times the multiplications."""
    return _strided("wide", input_shape, classes, widths=(32, 64, 128), residuals=4)


def _strided(
    name: str, input_shape: tuple[int, ...], classes: int, *, widths: tuple[int, int, int], residuals: int
) -> Any:
    """A convolution to 14x14, one to 7x7, residual ones there, one to 4x4, and a dense layer.

    Whole convolutions: separable ones run no faster here and take twice as long to train.
    """
    from keras import Input, Model, layers

    def conv(x: Any, filters: int, strides: int = 1) -> Any:
        x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=BATCH_MEMORY)(x))

    first, middle, last = widths
    inputs = Input(input_shape)
    x = inputs if len(input_shape) == 3 else layers.Reshape((*input_shape, 1))(inputs)
    x = layers.Rescaling(1 / 255)(x)
    x = conv(conv(x, first, 2), middle, 2)
    for _ in range(residuals):
        x = layers.Add()([x, conv(x, middle)])
    x = layers.Dropout(0.2)(layers.Flatten()(conv(x, last, 2)))
    return Model(inputs, layers.Dense(classes)(x), name=name)


def build_mlp(input_shape: tuple[int, ...], classes: int) -> Any:
    """One hidden layer of 500, L2 0.0001 on the weights."""
    from keras import Input, Model, layers, regularizers

    inputs = Input(input_shape)
    x = layers.Rescaling(1 / 255)(layers.Flatten()(inputs))
    x = layers.Dense(500, activation="relu", kernel_regularizer=regularizers.L2(1e-4))(x)
    return Model(inputs, layers.Dense(classes, kernel_regularizer=regularizers.L2(1e-4))(x), name="mlp")


def build_dense(input_shape: tuple[int, ...], classes: int) -> Any:
    """Dense 512 and Dropout 0.2: what a first lesson in Keras trains."""
    from keras import Input, Model, layers

    inputs = Input(input_shape)
    x = layers.Rescaling(1 / 255)(layers.Flatten()(inputs))
    x = layers.Dropout(0.2)(layers.Dense(512, activation="relu")(x))
    return Model(inputs, layers.Dense(classes)(x), name="dense")


_ALL = (
    Recipe(
        "cnn",
        build_cnn,
        batch=256,
        learning_rate=4e-3,
        epochs=36,
        weight_decay=1e-4,
        label_smoothing=0.02,
        quantised=True,
    ),
    Recipe(
        "wide",
        build_wide,
        batch=256,
        learning_rate=4e-3,
        epochs=28,
        weight_decay=1e-4,
        label_smoothing=0.02,
        quantised=True,
    ),
    Recipe(
        "mlp",
        build_mlp,
        batch=200,
        learning_rate=0.1,
        epochs=30,
        optimiser=sgd_that_decays,
        augmented=False,
        patience=5,
    ),
    Recipe(
        "dense",
        build_dense,
        batch=128,
        learning_rate=1e-3,
        epochs=10,
        optimiser=steady_adam,
        augmented=False,
        patience=3,
    ),
    Recipe("resnet", build_resnet, batch=32, learning_rate=1e-3, epochs=20, optimiser=adam_in_steps),
)
RECIPES = {recipe.name: recipe for recipe in _ALL}
