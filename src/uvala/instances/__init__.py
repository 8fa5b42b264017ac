"""From class maps to objects; no torch."""
