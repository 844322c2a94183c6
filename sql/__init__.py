"""Views and functions of schema pbdb, one object a file, applied in file order."""
