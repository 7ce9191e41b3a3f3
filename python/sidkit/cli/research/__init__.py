"""Verbs for research, one file each; `command` is the verb."""
