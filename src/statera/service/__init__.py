"""What every process needs: settings, logging, supervision, privileges, the state directory."""
