"""A network over images of any size, in tiles that give the numbers of the whole image."""
