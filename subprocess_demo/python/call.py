import subprocess
import sys


def report(r):
    if r < 0:
        print('Killed by signal:', -r)
    else:
        print('Exit code:', r)


if len(sys.argv) > 1:
    report(subprocess.call(sys.argv[1:]))
else:
    for command in (['echo', 'Hello'], ['sh', '-c', 'exit 3'], ['sh', '-c', 'kill -KILL $$']):
        report(subprocess.call(command))
    try:
        subprocess.call(['no-such-command'])
    except FileNotFoundError as error:
        print('No such command:', error.filename)
