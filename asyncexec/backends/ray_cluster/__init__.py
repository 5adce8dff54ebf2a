"""What the ``ray`` executor is made of."""
