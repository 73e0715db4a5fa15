"""Tables, transactions, queries, migrations and the work queue: the only SQL of the core."""
