import asyncio
import ipaddress
import socket


def yes(is_so):
    return 'yes' if is_so else 'no'


async def getaddrinfo(host, port):
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [address[:2] for _, _, _, _, address in found]


async def main():
    for host, port in [('127.0.0.1', 8081), ('::1', 8888)]:
        for ip, number in await getaddrinfo(host, port):
            print('%s, %d: %s:%d' % (host, port, '[%s]' % ip if ':' in ip else ip, number))
    addresses = await getaddrinfo('localhost', 8081)
    assert addresses
    loopback = all(ipaddress.ip_address(ip).is_loopback for ip, _ in addresses)
    port = all(number == 8081 for _, number in addresses)
    print('localhost, 8081: on this machine: %s, the port: %s' % (yes(loopback), yes(port)))


if __name__ == '__main__':
    asyncio.run(main())
