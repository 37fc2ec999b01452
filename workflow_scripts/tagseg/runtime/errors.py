"""The one exception that a user's data or settings can cause."""


class TagsegError(Exception):
    """A problem with a user's file or setting; the message names it and says what to do."""
