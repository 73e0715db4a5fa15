"""The REST face of the load balancer API: one file per resource."""
