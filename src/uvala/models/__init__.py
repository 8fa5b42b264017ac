"""Networks only: torch and blocks. One file a family; `catalog` makes them by name."""
