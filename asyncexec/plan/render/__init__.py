"""Plans as text and pictures; loaded when a plan is shown."""
