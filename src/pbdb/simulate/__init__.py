"""Small releases in the published file layouts, with effects that are known because they were planted."""
