from subprocess import PIPE, Popen

MIB = 1 << 20

answer = 'while read line; do echo "read: $line"; done; echo "end of input" >&2; exit 3'
p = Popen(['sh', '-c', answer], stdin=PIPE, stdout=PIPE, stderr=PIPE)
output, err = p.communicate(b'set q=mx\npython.org\nexit\n')
print(output.decode('utf-8'), end='')
print('stderr:', err.decode('utf-8').rstrip())
print('Exit code:', p.returncode)

p = Popen(['tee', '/dev/stderr'], stdin=PIPE, stdout=PIPE, stderr=PIPE)
output, err = p.communicate(b'.' * MIB)
print('sent {} bytes, received {} and {}'.format(MIB, len(output), len(err)))
print('Exit code:', p.returncode)
