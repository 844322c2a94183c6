"""The sources: one file each. To add one, copy the nearest and read the page on it in the README."""
