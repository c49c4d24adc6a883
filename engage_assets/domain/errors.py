"""The errors that a user of engage_assets meets: what was found, where, and what to do."""


class EngageError(Exception):
    """Base of all errors that name a mistake in a file, a table or a request."""


class ProgramFileError(EngageError):
    """One or more program files are wrong; the message lists file, line and key of each fault."""


class WarehouseError(EngageError):
    """A table that a program needs is missing, or a column of it is missing or of a wrong type."""


class QueryError(EngageError):
    """A program's SQL cannot be read, bound or run."""


class ModelError(EngageError):
    """A model is missing, lacks an input, or cannot be trained on the data at hand."""


class DeliveryRefused(EngageError):
    """A delivery was asked for that must not happen (a backfill, a past slot, no confirmation)."""


class DecisionsDoNotClose(EngageError):
    """The terminal reasons of a partition do not add up to its input records."""
