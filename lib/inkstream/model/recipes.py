"""A recipe's name in; its untrained network and how it is trained out. Building one imports TensorFlow, no sooner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from inkstream.errors import SettingError
from inkstream.model.optimisers import Pace, adam_in_steps, adamw_along_a_cosine, sgd_that_decays, steady_adam
from inkstream.model.resnet import build_resnet

BATCH_MEMORY = 0.95  # of the batch statistics: Keras's 0.99 needs more steps than a small training has


@dataclass(frozen=True, slots=True)
class Recipe:
    """`build(input_shape, classes)` gives a keras.Model: float32 (N, *input_shape), 0..255 in, logits out.

    Whoever trains may name other figures than these. augmented: the pictures, anew in each epoch. quantised: its
    LiteRT form has 8-bit weights, and is three times as quick on CPUs with VNNI. patience: epochs without a better one
    before it stops; 0: never, since a rate that falls along a cosine has to come down.
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
    """The default: two convolutions at 28x28, one at 14x14, three from there; 55,000 weights, 4 million products.

    Widths are multiples of 16: with 8 channels the same two layers run at half the speed in LiteRT.
    """
    inputs, x = _rescaled(input_shape)
    x = _halved(_residual(_conv(x, 16)))
    x = _halved(_conv(x, 32))
    x = _conv(_residual(_residual(x)), 64, 2)
    return _classified("cnn", inputs, x, classes)


def build_tiny(input_shape: tuple[int, ...], classes: int) -> Any:
    """The first network of a cascade of three: three convolutions; 29,000 weights, 350,000 products.

    It sees no more than 24x24 of 28x28: what it misses of a stroke that ends farther out leaves it unsure.
    """
    from keras import layers

    inputs, x = _rescaled(input_shape)
    x = _thinned(_conv(_conv(layers.Cropping2D(2)(x), 16, 2), 32, 2))
    return _classified("tiny", inputs, _conv(x, 64, 2), classes)


def build_narrow(input_shape: tuple[int, ...], classes: int) -> Any:
    """A cascade's first network of two, or second of three: nothing at 28x28; 52,000 weights, 1.5 million products."""
    inputs, x = _rescaled(input_shape)
    x = _thinned(_residual(_residual(_conv(_conv(x, 16, 2), 32, 2))))
    return _classified("narrow", inputs, _conv(x, 64, 2), classes)


def build_wide(input_shape: tuple[int, ...], classes: int) -> Any:
    """A cascade's last network, and a teacher: two convolutions at each size; 140,000 weights, 7 million products."""
    inputs, x = _rescaled(input_shape)
    x = _halved(_residual(_conv(x, 12)))
    x = _halved(_residual(_conv(x, 32)))
    x = _conv(_residual(_conv(x, 64)), 96, 2)
    return _classified("wide", inputs, x, classes)


def _rescaled(input_shape: tuple[int, ...]) -> tuple[Any, Any]:
    """The input, and its picture with a channel: 0..1."""
    from keras import Input, layers

    inputs = Input(input_shape)
    x = inputs if len(input_shape) == 3 else layers.Reshape((*input_shape, 1))(inputs)
    return inputs, layers.Rescaling(1 / 255)(x)


def _conv(x: Any, filters: int, strides: int = 1) -> Any:
    """Whole convolutions: separable ones run no faster here and take twice as long to train."""
    from keras import layers

    x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=BATCH_MEMORY)(x))


def _residual(x: Any) -> Any:
    from keras import layers

    return layers.Add()([x, _conv(x, x.shape[-1])])


def _halved(x: Any) -> Any:
    """The largest of each 2x2."""
    from keras import layers

    return _thinned(layers.MaxPooling2D(2)(x))


def _thinned(x: Any) -> Any:
    """While it learns a tenth of the channels is left out: it knows no hand by heart."""
    from keras import layers

    return layers.SpatialDropout2D(0.1)(x)


def _classified(name: str, inputs: Any, x: Any, classes: int) -> Any:
    from keras import Model, layers

    return Model(inputs, layers.Dense(classes)(layers.Dropout(0.3)(layers.Flatten()(x))), name=name)


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


_CNN = Recipe(
    "cnn",
    build_cnn,
    batch=256,
    learning_rate=4e-3,
    epochs=12,
    weight_decay=1e-4,
    label_smoothing=0.02,
    quantised=True,
)
_ALL = (
    _CNN,
    replace(_CNN, name="tiny", build=build_tiny),
    replace(_CNN, name="narrow", build=build_narrow),
    replace(_CNN, name="wide", build=build_wide),
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
