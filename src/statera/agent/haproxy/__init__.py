"""HAProxy of one amphora: start, change, watch, read."""
