"""An input shape and a number of classes in, an untrained ResNet-v2 out: any height, width, channels."""

from __future__ import annotations

from typing import Any

BLOCKS = 2  # a stage: 20 layers, as in the paper's smallest
FILTERS = 16
STAGES = 3
SMALLEST = 8  # pixels of a side under which nothing is gained by halving it again


def build_resnet(input_shape: tuple[int, ...], classes: int) -> Any:
    """ResNet-20 of version 2: batch normalisation and ReLU before each convolution, bottlenecks, L2 0.0001.

    A picture of more than 64 pixels a side is halved at the entry until it is not. float32 (N, H, W[, C]), 0..255 in,
    logits out. Source: He, Zhang, Ren, Sun, "Identity Mappings in Deep Residual Networks", 2016, and Keras's example.
    """
    from keras import Input, Model, layers

    inputs = Input(input_shape)
    x = inputs if len(input_shape) == 3 else layers.Reshape((*input_shape, 1))(inputs)
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    side = min(input_shape[:2])
    while side > 64:
        x, side = _conv(x, FILTERS, 5, 2), side // 2
    x = _activated(_conv(x, FILTERS, 3))
    filters = FILTERS
    for stage in range(STAGES):
        wider = filters * (4 if stage == 0 else 2)
        for block in range(BLOCKS):
            first = block == 0
            strides = 2 if first and stage and side > SMALLEST else 1
            side = side // strides
            y = x if first and stage == 0 else _activated(x)
            shortcut = _conv(x, wider, 1, strides) if first else x
            y = _activated(_conv(y, filters, 1, strides))
            y = _activated(_conv(y, filters, 3))
            x = layers.Add()([shortcut, _conv(y, wider, 1)])
        filters = wider
    x = layers.GlobalAveragePooling2D()(_activated(x))
    return Model(inputs, layers.Dense(classes, kernel_initializer="he_normal")(x), name="resnet")


def _conv(x: Any, filters: int, kernel: int, strides: int = 1) -> Any:
    from keras import layers, regularizers

    return layers.Conv2D(
        filters,
        kernel,
        strides,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=regularizers.L2(1e-4),
    )(x)


def _activated(x: Any) -> Any:
    from keras import layers

    return layers.ReLU()(layers.BatchNormalization()(x))
