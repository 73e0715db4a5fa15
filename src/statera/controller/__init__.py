"""The converge loop: observes, plans and acts until the plan of a load balancer is empty."""
