"""Trials over several machines: the crew of remote workers, the agent on each machine, and their messages."""
