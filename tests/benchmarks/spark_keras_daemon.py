"""The stream's warm Python daemon with TensorFlow imported too, so that no worker imports it by itself.

Spark gives a worker now to one step of a task, now to another: sooner or later each of them needs TensorFlow.
"""

from __future__ import annotations

import os

from inkstream.stream.daemon import drop_archives, serve, warm_up

if __name__ == "__main__":
    drop_archives()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    warm_up()
    serve()
