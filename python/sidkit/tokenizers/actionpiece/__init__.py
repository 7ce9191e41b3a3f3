"""ActionPiece: context-dependent tokens of histories."""
