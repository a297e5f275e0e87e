from subprocess import PIPE, Popen, TimeoutExpired
import os
import signal
import time

SECOND = 0.1
TICK = 'while :; do echo tick; sleep 0.02; done & echo "child $$ started $!"; wait'

print('main process {} waits 3 seconds'.format(os.getpid()))
start = time.monotonic()
p = Popen(['sh', '-c', TICK], stdout=PIPE, start_new_session=True)
try:
    p.communicate(timeout=3 * SECOND)
except TimeoutExpired:
    seconds = (time.monotonic() - start) / SECOND
    os.killpg(p.pid, signal.SIGKILL)
    output, _ = p.communicate()
    print(next(line for line in output.decode().splitlines() if line.startswith('child')))
    print('timeout after {:.6f} seconds'.format(seconds))
    print('both are gone after signal {}'.format(-p.returncode))
