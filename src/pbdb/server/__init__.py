"""The PostgreSQL in use, embedded or yours: start it, connect to it, lock in it."""
