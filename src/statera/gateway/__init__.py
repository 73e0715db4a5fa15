"""Where agents dial in: sends documents, stores what agents report."""
