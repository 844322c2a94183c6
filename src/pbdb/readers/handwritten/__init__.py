"""Tables that people make: what they type, how they name and save it."""
