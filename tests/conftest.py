"""What holds for all tests."""

from hypothesis import settings

# No property is held to the pace of a machine.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
