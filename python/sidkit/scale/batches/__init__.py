"""Functions of Arrow batches, one per stage that maps rows; one module each."""
