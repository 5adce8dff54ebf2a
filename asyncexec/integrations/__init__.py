"""Front ends of other projects on this engine."""
