"""What the harness learned, kept across sessions: records, their index, recall."""
