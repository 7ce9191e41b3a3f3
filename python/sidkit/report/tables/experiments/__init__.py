"""Tables of experiments: beam widths, and searches for settings."""
