"""What leaves the database as files: snapshots, and exports for tools."""
