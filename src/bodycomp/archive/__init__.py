"""Studies of an image archive -> a folder to analyze."""
