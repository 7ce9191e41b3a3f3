"""The stages of a run, one file each: settings, inputs, and the work that leaves files in the run directory."""
