"""Trained networks as files for other programs, each compared with PyTorch before it is written."""
