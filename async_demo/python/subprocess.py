import asyncio
from asyncio.subprocess import PIPE

SECOND = 0.1


async def spawn(*command):
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)


async def communicate(name, process, data):
    stdout, stderr = await process.communicate(data)
    print('%s: %s' % (name, (stdout + stderr).decode().rstrip()))
    print('%s: exit code %d' % (name, process.returncode))


async def main():
    await communicate('tr', await spawn('tr', 'a-z', 'A-Z'), b'hello')
    await communicate('sh', await spawn('sh', '-c', 'echo no such thing >&2; exit 3'), b'')

    cat = await spawn('cat')
    try:
        await asyncio.wait_for(cat.wait(), SECOND)
    except asyncio.TimeoutError:
        print('cat takes too long')
    cat.kill()
    await cat.wait()
    print('cat: killed by signal', -cat.returncode)

    try:
        await spawn('there-is-no-such-program')
    except FileNotFoundError:
        print('there-is-no-such-program: not found')


if __name__ == '__main__':
    asyncio.run(main())
