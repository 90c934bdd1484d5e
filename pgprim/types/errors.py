"""The exception for errors that the user can correct."""


class UserError(Exception):
    """Bad input: one sentence that names the file, key and value at fault and what would be right."""
