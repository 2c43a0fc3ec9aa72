"""Configuration: pydantic models are the one source; files and documents derive from them."""

from mwatlas.config.fields import chosen_settings
from mwatlas.config.loading import load_published, load_settings, read_yaml
from mwatlas.config.settings import STUDIES, Settings

__all__ = ["STUDIES", "Settings", "chosen_settings", "load_published", "load_settings", "read_yaml"]
