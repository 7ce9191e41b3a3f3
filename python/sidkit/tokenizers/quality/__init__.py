"""Quality of codes: reconstruction error, usage, collisions, neighbours, purity."""
