"""A `.keras` file's bytes in; nothing out, or the reason why it is more than data.

A Keras file can hold Python: a Lambda layer is pickled bytecode, and a layer from another package runs whatever that
package does. Keras's safe mode refuses the first while it loads; this looks before anything is loaded, and needs no
TensorFlow.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

from inkstream.errors import BundleError

MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
CODE = {"Lambda", "__lambda__"}
CONFIG_BYTES = 64 << 20


def check_keras_archive(content: bytes, what: str) -> None:
    """See that the file holds weights and layers of Keras itself, and nothing else.

    Raises:
        BundleError: it is no such file, holds code or another member, or names a class that is not Keras's.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            others = sorted(set(archive.namelist()) - MEMBERS)
            if archive.getinfo("config.json").file_size > CONFIG_BYTES:
                raise BundleError(f"{what} describes its layers in more than {CONFIG_BYTES >> 20} MiB")
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise BundleError(f"{what} is no Keras model ({error}); save it with model.save('model.keras')") from error
    if others:
        raise BundleError(f"{what} holds {', '.join(others[:3])} beside weights and layers; a bundle is data only")
    config.pop("compile_config", None)  # what it was trained with: never loaded
    for class_name, module in _classes(config):
        if class_name in CODE:
            raise BundleError(f"{what} holds Python code (a {class_name} layer); build it from Keras's own layers")
        if module is not None and module.split(".")[0] != "keras":
            raise BundleError(
                f"{what} needs {module}.{class_name}, which is not Keras's; build it from Keras's own layers"
            )


def _classes(node: Any) -> Iterator[tuple[str, str | None]]:
    """Every class that a configuration names, with its module."""
    if isinstance(node, dict):
        if isinstance(node.get("class_name"), str):
            yield node["class_name"], node.get("module")
        for value in node.values():
            yield from _classes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _classes(value)
