"""Stores that keep versions (Icechunk): each attempt writes into a fork of a session, and one fork a task is merged."""
