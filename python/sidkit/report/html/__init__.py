"""HTML pages: one self-contained file per run or comparison, without scripts."""
