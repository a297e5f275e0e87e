"""CPython's own manager tests, against a server that runs already.

The tests are those of `test._test_multiprocessing`, unchanged. Their manager is one that connects where theirs would
start a server.

    conformance.py --list                   the tests that apply, one a line
    conformance.py --excluded               the others, each with the reason
    conformance.py --address 127.0.0.1:PORT|/PATH --authkey-file FILE [--start-method spawn] TEST

The exit code of a test is 0, or 1 where it fails, or 77 where it is skipped. The server is this test's alone: a test
that leaves objects in it fails.
"""

import argparse
import faulthandler
import fnmatch
import gc
import multiprocessing
import sys
import time
import unittest
from multiprocessing.managers import SyncManager

from test import _test_multiprocessing as cpython

# Children that are spawned look for the classes in this module.
cpython.install_tests_in_module_dict(globals(), 'fork')

NOT_APPLICABLE = {
    'WithManagerTestPool.*': 'manager.Pool: the server would run functions of Python',
    'TestSyncManagerTypes.test_pool': 'manager.Pool: the server would run functions of Python',
    'WithManagerTestBarrier.test_action': 'the action is a function of Python, which the server would run',
    'WithManagerTestMyManager.*': 'starts its own server with classes of Python, and looks at its exit code',
    'WithManagerTestRemoteManager.*': 'starts its own server, which speaks XML-RPC',
    'WithManagerTestManagerRestart.*': 'starts its own server twice, which speaks XML-RPC',
    'WithManagerTestQueue.test_closed_queue_*': 'uses multiprocessing.Queue, no manager',
    'WithManagerTestQueue.test_no_import_lock_contention': 'uses multiprocessing.Queue, no manager',
    'WithManagerTestQueue.test_timeout': 'uses multiprocessing.Queue, no manager',
    'WithManagerTestQueue.test_queue_feeder_*': 'CPython skips it for managers',
    'WithManagerTestSemaphore.test_timeout': 'CPython skips it for managers',
    'WithManagerTestBarrier.test_thousand': 'CPython skips it for managers',
}


def reason(test):
    """Why a test does not apply, or None."""
    return next((why for pattern, why in NOT_APPLICABLE.items() if fnmatch.fnmatchcase(test, pattern)), None)


def tests():
    """Every test that uses a manager."""
    loader = unittest.defaultTestLoader
    for name, case in sorted(globals().items()):
        if name == 'TestSyncManagerTypes' or name.startswith('WithManager'):
            yield from (f'{name}.{test}' for test in loader.getTestCaseNames(case))


def connected(address, key):
    """A manager class whose server is the one at this address."""

    class Connected(SyncManager):
        def __init__(self):
            super().__init__(address, key)

        def start(self):
            self.connect()
            self.before = self._number_of_objects()

        def shutdown(self):
            """Where the test would stop its server: nothing of it may be left there."""
            end = time.monotonic() + 5
            while time.monotonic() < end:
                gc.collect()
                if self._number_of_objects() <= self.before:
                    return
                time.sleep(0.01)
            raise AssertionError(f'objects are left:\n{self._debug_info()}')

        def join(self):
            pass

    return Connected


def run(test, address, key, start_method, limit):
    # For proxies that come out of containers: they know no manager.
    multiprocessing.current_process().authkey = key
    manager_class = connected(address, key)

    def manager():
        started = manager_class()
        started.start()
        return started

    multiprocessing.Manager = manager
    # The same classes once more, for their setUpModule.
    cpython.install_tests_in_module_dict(globals(), start_method)
    TestSyncManagerTypes.manager_class = manager_class
    faulthandler.dump_traceback_later(limit, exit=True)
    suite = unittest.defaultTestLoader.loadTestsFromName(test, sys.modules[__name__])
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    faulthandler.cancel_dump_traceback_later()
    if not result.wasSuccessful() or not result.testsRun:
        return 1
    return 77 if result.skipped else 0


def parse_address(text):
    if text.startswith('/'):
        return text
    host, port = text.rsplit(':', 1)
    return host, int(port)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--list', action='store_true')
    parser.add_argument('--excluded', action='store_true')
    parser.add_argument('--address', type=parse_address)
    parser.add_argument('--authkey-file')
    parser.add_argument('--start-method', default='fork', choices=multiprocessing.get_all_start_methods())
    parser.add_argument('--limit', type=float, default=50, help='seconds until the stacks of a test are shown')
    parser.add_argument('test', nargs='?')
    args = parser.parse_args()
    if args.list:
        print(*(test for test in tests() if not reason(test)), sep='\n')
    elif args.excluded:
        print(*(f'{test}: {reason(test)}' for test in tests() if reason(test)), sep='\n')
    elif args.test and args.address and args.authkey_file:
        with open(args.authkey_file, 'rb') as file:
            key = file.read()
        sys.exit(run(args.test, args.address, key, args.start_method, args.limit))
    else:
        parser.error('a test, --address and --authkey-file, or --list, or --excluded')


if __name__ == '__main__':
    main()
