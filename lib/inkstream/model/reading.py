"""Bytes of pictures in, readings out: the one path decode -> normalise -> predict that everything here takes."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np

from inkstream.errors import Rejected
from inkstream.image.decode import decode, too_large
from inkstream.image.preprocess import preprocessor
from inkstream.model.bundle import Bundle
from inkstream.model.engine import open_engine
from inkstream.records import NO_MODEL, PREPARED_SIDE, RECOGNISED, REJECTED, UNCERTAIN, Reading, shortest_float32
from inkstream.settings import ImageSettings


class Reader:
    """One loaded bundle and the limits; reads any number of pictures, each with the same answer in any company.

    Handles: bytes of any kind; what cannot be answered comes back as a rejected Reading, never as an exception.
    Assumes: used by one thread at a time (LiteRT's interpreter is not shared).
    """

    def __init__(self, bundle: Bundle, limits: ImageSettings, threshold: float | None = None) -> None:
        self.bundle = bundle
        self._limits = limits
        self._normalise = preprocessor(bundle.preprocess, bundle.input_shape)
        self.engine = open_engine(bundle)
        self._threshold = np.float32(bundle.threshold if threshold is None else threshold)

    def read(self, pictures: Sequence[bytes | int]) -> list[Reading]:
        """One Reading per picture, in order; the model is called once for all of them.

        A picture may be given by its size in bytes alone: it is over the limit, was not fetched, and is `too_large`.
        """
        readings: list[Reading | None] = [None] * len(pictures)
        ready: list[_Ready] = []
        for place, data in enumerate(pictures):
            made = self._prepare(place, data)
            if isinstance(made, Reading):
                readings[place] = made
            else:
                ready.append(made)
        if ready:
            started = perf_counter()
            probabilities = self.engine.predict(np.stack([one.pixels for one in ready]))
            predict_ms = (perf_counter() - started) * 1000 / len(ready)
            for one, row in zip(ready, probabilities, strict=True):
                readings[one.place] = self._answer(one, row, predict_ms)
        return readings  # type: ignore[return-value]

    def _prepare(self, place: int, data: bytes | int) -> _Ready | Reading:
        started = perf_counter()
        width = height = None
        version = NO_MODEL
        decoded = started
        try:
            if isinstance(data, int):
                raise too_large(data, self._limits)
            picture = decode(data, self._limits)
            decoded = perf_counter()
            width, height = picture.width, picture.height
            version = self.bundle.version
            prepared = self._normalise(picture.pixels)
        except Rejected as rejected:
            return Reading(
                REJECTED,
                reason_code=rejected.code,
                reason=rejected.reason,
                width=width,
                height=height,
                times={"decode_ms": (perf_counter() - started) * 1000},
                model_version=version,
            )
        return _Ready(place, prepared, width, height, (decoded - started) * 1000, (perf_counter() - decoded) * 1000)

    def _answer(self, one: _Ready, probabilities: np.ndarray[Any, Any], predict_ms: float) -> Reading:
        best = int(probabilities.argmax())
        confidence = probabilities[best]
        return Reading(
            RECOGNISED if confidence >= self._threshold else UNCERTAIN,
            label=self.bundle.labels[best],
            confidence=shortest_float32(confidence),
            probabilities=probabilities,
            width=one.width,
            height=one.height,
            why=one.why,
            # A colour model's input is as large as a picture, and can be made again of it: it is not stored.
            prepared=one.pixels if one.pixels.shape == (PREPARED_SIDE, PREPARED_SIDE) else None,
            model_version=self.bundle.version,
            times={"decode_ms": one.decode_ms, "normalise_ms": one.normalise_ms, "predict_ms": predict_ms},
        )


class _Ready:
    """A picture that is ready for the model."""

    __slots__ = ("decode_ms", "height", "normalise_ms", "pixels", "place", "why", "width")

    def __init__(
        self, place: int, prepared: Any, width: int, height: int, decode_ms: float, normalise_ms: float
    ) -> None:
        self.place = place
        self.pixels = prepared.pixels
        self.why = prepared.why
        self.width = width
        self.height = height
        self.decode_ms = decode_ms
        self.normalise_ms = normalise_ms
