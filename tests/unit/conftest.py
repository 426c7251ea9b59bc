"""Settings of all unit tests."""

from hypothesis import settings

# A busy machine is no bug: examples have no deadline of their own.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
