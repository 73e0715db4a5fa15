"""What a load balancer is: resources, protocol matrices, statuses, rules.  Pure."""
