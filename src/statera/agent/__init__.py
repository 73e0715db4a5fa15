"""What runs on every machine that hosts amphorae: makes documents true and reports what is true."""
