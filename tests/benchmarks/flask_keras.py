"""The service of the tutorials: Flask, and Keras' predict in the request. The project's normaliser is its decoder."""

from __future__ import annotations

import sys

import keras
import numpy as np
from flask import Flask, jsonify, request

from inkstream.image.decode import decode
from inkstream.image.normalise import normalise
from inkstream.model.bundle import shipped_bundle
from inkstream.settings import ImageSettings

app = Flask(__name__)
model = keras.saving.load_model(shipped_bundle() / "model.keras", compile=False)
limits = ImageSettings()


@app.post("/api/images")
def answer() -> object:
    pixels = normalise(decode(request.get_data(), limits).pixels).pixels
    probabilities = model.predict(pixels.reshape(1, *model.input_shape[1:]).astype(np.float32), verbose=0)
    return jsonify(label=int(probabilities[0].argmax()))


@app.get("/readyz")
def ready() -> str:
    return "ready"


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]), threaded=True)
