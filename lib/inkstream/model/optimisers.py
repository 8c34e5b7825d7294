"""How a recipe learns: its figures and the number of steps in, a Keras optimiser with its schedule out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EMA_MOMENTUM, EMA_SPAN = 0.998, 0.1  # the weights' moving average, over a tenth of the steps at most
WARM_UP = 0.08  # of all steps


@dataclass(frozen=True, slots=True)
class Pace:
    """learning_rate: the highest. steps: in all, an_epoch: of an epoch."""

    learning_rate: float
    weight_decay: float
    steps: int
    an_epoch: int


def adamw_along_a_cosine(pace: Pace) -> Any:
    """AdamW: warmed up, then falling along a cosine; the weights' moving average is what counts."""
    from keras import optimizers

    rate = optimizers.schedules.CosineDecay(
        pace.learning_rate / 20,
        pace.steps,
        1e-3,
        warmup_target=pace.learning_rate,
        warmup_steps=int(WARM_UP * pace.steps),
    )
    momentum = min(EMA_MOMENTUM, 1 - 1 / (EMA_SPAN * pace.steps))
    return optimizers.AdamW(rate, weight_decay=pace.weight_decay, use_ema=True, ema_momentum=max(0.0, momentum))


def sgd_that_decays(pace: Pace) -> Any:
    """Plain gradient descent, 1 % slower after each epoch; the weights' moving average (0.99) is what counts."""
    from keras import optimizers

    rate = optimizers.schedules.ExponentialDecay(pace.learning_rate, pace.an_epoch, 0.99, staircase=True)
    return optimizers.SGD(rate, use_ema=True, ema_momentum=0.99)


def steady_adam(pace: Pace) -> Any:
    """Adam at one rate."""
    from keras import optimizers

    return optimizers.Adam(pace.learning_rate)


def adam_in_steps(pace: Pace) -> Any:
    """Adam whose rate falls at 40, 60, 80 and 90 % of the training: 80, 120, 160 and 180 epochs of 200.

    Source: the schedule of Keras's ResNet example for CIFAR-10.
    """
    from keras import optimizers

    falls = [int(pace.steps * share) for share in (0.4, 0.6, 0.8, 0.9)]
    rates = [pace.learning_rate * factor for factor in (1.0, 1e-1, 1e-2, 1e-3, 5e-4)]
    return optimizers.Adam(optimizers.schedules.PiecewiseConstantDecay(falls, rates))
