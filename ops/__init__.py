"""The house's machinery: environments, training, the supervisor of the stack and the sequence of checks.

Nothing in the rooms imports it; the Makefile is its only caller.
"""
