"""Building blocks of the networks, and losses."""
