"""What the coder can do, one file per group of tools."""
