"""The one exception that is meant for the person at the keyboard."""


class UserError(Exception):
    """Bad input: one sentence that names the file, key and value at fault and what would be right."""
