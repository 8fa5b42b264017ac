"""Runtimes that compute a network faster than PyTorch does as it comes, each behind the same small door."""
