"""The commands, a file for each thing a person comes for; `harness/cli.py` puts them together."""
