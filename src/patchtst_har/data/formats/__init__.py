"""One module per file format: a file to its samples, before units and checks."""
