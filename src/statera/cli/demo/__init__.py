"""`statera demo`: a real load balancer before real backends, made by the real client."""
