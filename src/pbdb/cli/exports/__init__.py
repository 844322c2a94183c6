"""pbdb export and pbdb snapshot: files for other tools, and whole snapshots."""
