"""What knows nothing of the field: errors, settings, progress, ids, units, hashing, output files, tasks."""
