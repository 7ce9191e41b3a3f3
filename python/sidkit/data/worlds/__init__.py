"""Synthetic worlds with known answers that are made of more than interactions."""

from sidkit.data.worlds.preferences import PreferenceLog, PreferenceWorld

__all__ = ["PreferenceLog", "PreferenceWorld"]
