"""Building blocks that tokenizers share."""
