"""Calls of AWS Lambda functions: what travels, and what Lambda's answers mean."""
