"""Image files and arrays: reading by content, writing in the user's own encoding, pictures to look at."""
