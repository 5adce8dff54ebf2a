"""The failures of requests to stores and services: one table of what is permanent, what is transient, and silence."""
