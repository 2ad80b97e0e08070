"""The boundary around code of the project: what it may do (policy), how that is kept, and what runs there (a room)."""
