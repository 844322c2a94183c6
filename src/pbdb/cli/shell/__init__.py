"""What a user has of the shell while a command runs or is typed: signs of life, Ctrl-C, completion."""
