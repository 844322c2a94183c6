"""Reference tables: fetched, imported, stored, and brought into use."""
