"""Providers for OpenTofu that need no download: the schema of the real one, driving real hosts.

They are for tests only. Each serves a schema that was recorded from the real provider, under its
address, and does what that does as far as tests need it.
"""
