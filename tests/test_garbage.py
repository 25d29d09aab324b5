"""Garbage is not collected while libraries are imported, and is afterwards."""

import gc
import threading

import pytest

from stacktune.garbage import imports, no_collection


def test_nothing_is_collected_until_all_threads_have_imported():
    is_in, may_go = threading.Event(), threading.Event()

    def work():
        with imports():
            is_in.set()
            may_go.wait(60)

    thread = threading.Thread(target=work)
    with no_collection():
        thread.start()
        is_in.wait(60)
        assert not gc.isenabled()
    assert not gc.isenabled(), "the other thread has not imported all"
    may_go.set()
    thread.join()
    assert gc.isenabled()


def test_what_was_imported_is_not_gone_through_again():
    before = gc.get_freeze_count()
    with imports():
        made = [[] for _ in range(1000)]
    assert gc.get_freeze_count() >= before + len(made)


def test_who_has_turned_it_off_finds_it_off(request):
    request.addfinalizer(gc.enable)
    gc.disable()
    with pytest.raises(LookupError), imports():
        raise LookupError
    assert not gc.isenabled()
