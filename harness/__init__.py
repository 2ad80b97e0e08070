"""A long-running coding-agent harness: one feature, one fresh context, one proof, one commit."""

import os

# LangGraph reads this once, at its first import: checkpoints may then hold plain data and messages only. Without it a
# crafted checkpoint blob can make the loader import and call anything.
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
