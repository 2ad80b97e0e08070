"""Checks of projects without pages: what is asked by a request or a command, and what is answered."""
