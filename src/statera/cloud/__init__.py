"""The embedded small cloud: identity and network services, and their adapters to the edges."""
