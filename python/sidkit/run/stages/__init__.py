"""The stages of a run, one file each: settings, inputs, and work."""
