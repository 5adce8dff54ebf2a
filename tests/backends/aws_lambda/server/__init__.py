"""A small Lambda of our own: the Invoke API in front, the Runtime API behind, sandboxes that are processes.

The sandboxes run AWS's own runtime client, awslambdaric, and the driver's side is aiobotocore, both as they are.
"""
