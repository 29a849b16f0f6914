"""What proves a verdict to a stranger: bundles, their signature, and their comparison with a replay."""
