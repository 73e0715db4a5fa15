"""The wire contract: the document an agent receives and the report it returns.  Pure."""
