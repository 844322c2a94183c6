"""The pipeline of a load: its stages, their cache, the ledger, what is published."""
