"""Settings declared once, as the fields of dataclasses: read, checked and described in one way."""
