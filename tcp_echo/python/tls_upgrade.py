import asyncio
import ssl
import tempfile

# Python's library cannot make a certificate, so here is one for localhost. Its key is public.
CERTIFICATE = '''\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2zwl3jqN4HFDO9Zm
Cgy+MUPYI0ac9tXR0CCIk33ixfKhRANCAASF47qJHJjGbNuZSJaPsLhpm4jWT6us
fdEYs/CZG+sKsdPI2NE3Hn8R+aP21QsEn5E/N93lX1LPpFeK7yJygH0H
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBXjCCAQSgAwIBAgIUUEdR2hYfpR+EE40qEUT/s+SNBEUwCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWcmNnZW4gc2VsZiBzaWduZWQgY2VydDAgFw03NTAxMDEwMDAw
MDBaGA80MDk2MDEwMTAwMDAwMFowITEfMB0GA1UEAwwWcmNnZW4gc2VsZiBzaWdu
ZWQgY2VydDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIXjuokcmMZs25lIlo+w
uGmbiNZPq6x90Riz8Jkb6wqx08jY0TcefxH5o/bVCwSfkT833eVfUs+kV4rvInKA
fQejGDAWMBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAKBggqhkjOPQQDAgNIADBFAiEA
9XV9ME3oXlG7skBdJ9Hrm3MEnkuS+vdkQ+/ncOuXPukCICBFU+m9JeVZoStEtNUX
zLEYqTvma2NxwGpexevaNOv5
-----END CERTIFICATE-----
'''


def server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile('w') as file:
        file.write(CERTIFICATE)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def client_context(trusted):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trusted:
        context.load_verify_locations(cadata=trusted)
    return context


async def handle(reader, writer):
    line = await reader.readline()
    print(f'Server receives in plain: {line.decode().rstrip()}')
    writer.write(b'go ahead\n')
    try:
        await writer.start_tls(server_context())
    except (ssl.SSLError, ConnectionError):
        print('Server is told that its certificate is refused')
        return
    print('Server is under TLS')
    line = await reader.readline()
    print(f'Server receives under TLS: {line.decode().rstrip()}')
    writer.write(line)
    writer.close()


async def client(addr, trusted):
    reader, writer = await asyncio.open_connection(*addr)
    writer.write(b'STARTTLS\n')
    answer = await reader.readline()
    print(f'Client receives in plain: {answer.decode().rstrip()}')
    try:
        await writer.start_tls(client_context(trusted), server_hostname='localhost')
    except ssl.SSLCertVerificationError:
        print('Client refuses the certificate')
        return
    print('Client has verified localhost')
    writer.write(b'secret\n')
    answer = await reader.read()
    print(f'Client receives under TLS: {answer.decode().rstrip()}')
    writer.close()


async def main():
    handlers = []

    async def handler(reader, writer):
        handlers.append(asyncio.current_task())
        await handle(reader, writer)

    server = await asyncio.start_server(handler, '127.0.0.1', 0)
    addr = server.sockets[0].getsockname()
    print(f'Serving on {addr}')
    async with server:
        await client(addr, CERTIFICATE)
        await asyncio.gather(*handlers)
        print('A client without a trusted certificate')
        await client(addr, None)
        await asyncio.gather(*handlers)


if __name__ == '__main__':
    asyncio.run(main())
