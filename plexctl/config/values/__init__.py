"""Parsers of single values.

Each converts a value of YAML to a value of the model, or raises Fault.
"""
