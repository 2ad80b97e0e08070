"""A long-running coding-agent harness: one feature, one fresh context, one proof, one commit."""
