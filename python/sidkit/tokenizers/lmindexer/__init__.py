"""LMIndexer: codes from which item text can be predicted."""
