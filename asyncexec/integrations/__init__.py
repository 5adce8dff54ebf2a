"""Other people's front ends on this engine."""
