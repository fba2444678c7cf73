"""The subcommands; each module has one function `run`."""
