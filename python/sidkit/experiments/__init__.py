"""Studies over many runs: tuning, tokenizer comparison, beam width, ranking sweep, drift."""
