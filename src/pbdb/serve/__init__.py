"""`pbdb serve`: pages to look at, and an API of every view, over the database or a snapshot."""
