"""Milky Way Atlas: the science behind the workflow.

Importing this package is cheap: heavy frameworks (TensorFlow, gala) are imported by
the modules that need them, and by nothing else.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("mwatlas")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0+uninstalled"
