"""Checks that hold any family to its contract."""

from stacktune.testing.checks import Check as Check
from stacktune.testing.checks import CheckError as CheckError
from stacktune.testing.checks import check_family as check_family
from stacktune.testing.checks import family_checks as family_checks
from stacktune.testing.checks import odd_table_checks as odd_table_checks
from stacktune.testing.checks import parametrize_with_checks as parametrize_with_checks
from stacktune.testing.checks import usual_table_checks as usual_table_checks
from stacktune.testing.subject import Subject as Subject
from stacktune.testing.subject import house_subjects as house_subjects
from stacktune.testing.subject import subject_of as subject_of
