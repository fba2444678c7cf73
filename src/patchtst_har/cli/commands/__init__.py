"""The subcommands; each module has one function `run`, inside which it imports what takes long to load."""
