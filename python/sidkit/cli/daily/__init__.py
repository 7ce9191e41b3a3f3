"""Verbs for daily use, one file each; `command` is the verb."""
