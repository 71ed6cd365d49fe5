"""How a command ends that cannot do what it was asked: by a mistake of its user, or by a failure."""


class Mistake(ValueError):
    """What the user asked for, or a file of the user's, cannot be used. Exit code 2.

    The message is one line for people: what is wrong, where (file and line), and what to do.
    """


class Failure(RuntimeError):
    """What was asked for is in order, and it did not work all the same. Exit code 1.

    The message is one line for people.
    """


def error_in_words(error: OSError) -> str:
    """What the system says went wrong, and with which file."""
    what = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {what}" if error.filename else what
