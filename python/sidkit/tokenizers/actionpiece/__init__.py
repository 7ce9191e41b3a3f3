"""ActionPiece: context-aware tokens of histories."""
