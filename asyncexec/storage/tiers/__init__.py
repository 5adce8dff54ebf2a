"""Tiers: faster places for intermediate chunks than the run's directory."""
