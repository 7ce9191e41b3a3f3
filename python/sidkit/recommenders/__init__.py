"""Recommenders: settings, `fit`, `recommend` and `evaluate`."""
