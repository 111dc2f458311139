"""Graph to graph transformations, one file each."""
