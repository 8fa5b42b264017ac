"""The run folder: the only contract between training and all that follows."""
