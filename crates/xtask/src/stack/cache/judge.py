"""Judges the tokens of IAM that clients send to Valkey, as ElastiCache does.

It stands before a Valkey as a proxy, with TLS on both sides. In AUTH and HELLO it puts Valkey's password in place of a token that
is right, and a wrong password in place of one that is not. So every answer is Valkey's own. A connection is closed some time
after its last login. What happens is printed, a line each.
"""

import argparse
import asyncio
import datetime
import ssl
import sys
import urllib.parse

import botocore.auth
from botocore.credentials import Credentials
from botocore.hooks import HierarchicalEmitter
from botocore.model import ServiceId
from botocore.signers import RequestSigner

TOKEN_LIFETIME = 900
# How far the clocks of ElastiCache and a client may differ.
SKEW = 300
# The signer itself keeps only a weak reference.
EMITTER = HierarchicalEmitter()


def arguments():
    parser = argparse.ArgumentParser()
    for name in ["port", "certificate", "key", "valkey", "valkey-ca", "user", "password", "cache"]:
        parser.add_argument(f"--{name}", required=True)
    for name in ["region", "access-key", "secret-key", "lifetime"]:
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seconds-ahead", type=int, default=0)
    parser.add_argument("--serverless", action="store_true")
    parser.add_argument("--until-input-ends", action="store_true")
    return parser.parse_args()


# MiniStack gives its functions the account's number as their access key, with the same secret.
LOCAL_ACCOUNT = "000000000000"


def say(event):
    print(event, flush=True)


def token_of_botocore(args, date, access_key, session_token):
    """Signs a token as botocore would have at that time."""
    botocore.auth.get_current_datetime = lambda *_, **__: date
    query = {"Action": "connect", "User": args.user}
    if args.serverless:
        query["ResourceType"] = "ServerlessCache"
    credentials = Credentials(access_key, args.secret_key, session_token)
    signer = RequestSigner(ServiceId("elasticache"), args.region, "elasticache", "v4", credentials, EMITTER)
    request = {
        "method": "GET",
        "url": f"http://{args.cache}/?{urllib.parse.urlencode(query)}",
        "body": {},
        "headers": {},
        "context": {},
    }
    url = signer.generate_presigned_url(request, "connect", expires_in=TOKEN_LIFETIME, region_name=args.region)
    return url.removeprefix("http://")


def parsed(token):
    parts = urllib.parse.urlsplit(f"//{token}")
    return parts.netloc, parts.path, sorted(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))


def fault_of(args, user, token):
    """Returns what is wrong with a login, or None."""
    try:
        host, _, query = parsed(token)
        given = dict(query)
        date = datetime.datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    except (KeyError, ValueError):
        return "no token"
    if user != args.user or given.get("User") != args.user:
        return "another user"
    if host != args.cache:
        return "another cache"
    if f"/{args.region}/elasticache/" not in given.get("X-Amz-Credential", ""):
        return "another region"
    access_key = given["X-Amz-Credential"].split("/")[0]
    if access_key not in [args.access_key, LOCAL_ACCOUNT]:
        return "another access key"
    if parsed(token) != parsed(token_of_botocore(args, date, access_key, given.get("X-Amz-Security-Token"))):
        return "another signature"
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    now += datetime.timedelta(seconds=args.seconds_ahead)
    age = (now - date).total_seconds()
    if age > TOKEN_LIFETIME:
        return "old"
    if age < -SKEW:
        return "of the future"
    return None


def judged(args, command):
    """Returns a command with a password in place of a token, and whether it was a login that is right."""
    name = command[0].upper()
    if name == b"AUTH" and len(command) == 3:
        at = 1
    elif name == b"HELLO" and len(command) > 4 and command[2].upper() == b"AUTH":
        at = 3
    else:
        return command, False
    user, token = (text.decode(errors="replace") for text in command[at : at + 2])
    fault = fault_of(args, user, token)
    say(f"refused: {fault}" if fault else "accepted")
    password = "wrong" if fault else args.password
    return [*command[:at], args.user.encode(), password.encode(), *command[at + 2 :]], fault is None


async def read_command(reader):
    """Reads a command: an array of strings, or a line of words. Returns None at the end."""
    line = await reader.readline()
    if not line.endswith(b"\r\n"):
        return None
    if not line.startswith(b"*"):
        return line.split()
    command = []
    for _ in range(int(line[1:])):
        length = int((await reader.readline())[1:])
        command.append((await reader.readexactly(length + 2))[:-2])
    return command


def encoded(command):
    return b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in command)


class Session:
    """One client, and its connection to Valkey."""

    def __init__(self, args, client, valkey):
        self.args = args
        self.client_reader, self.client_writer = client
        self.valkey_reader, self.valkey_writer = valkey
        self.expiry = None

    async def requests(self):
        while command := await read_command(self.client_reader):
            command, is_login = judged(self.args, command)
            if is_login:
                self.renew()
            self.valkey_writer.write(encoded(command))
            await self.valkey_writer.drain()

    async def answers(self):
        while piece := await self.valkey_reader.read(65536):
            self.client_writer.write(piece)
            await self.client_writer.drain()

    def renew(self):
        if self.expiry:
            self.expiry.cancel()
        self.expiry = asyncio.get_running_loop().call_later(float(self.args.lifetime), self.expire)

    def expire(self):
        say("closed")
        self.client_writer.transport.abort()
        self.valkey_writer.transport.abort()

    async def run(self):
        ways = [asyncio.create_task(way()) for way in (self.requests, self.answers)]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        if self.expiry:
            self.expiry.cancel()
        for writer in (self.client_writer, self.valkey_writer):
            writer.transport.abort()


async def serve(args):
    towards_valkey = ssl.create_default_context(cafile=args.valkey_ca)
    towards_clients = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    towards_clients.load_cert_chain(args.certificate, args.key)
    host, port = args.valkey.rsplit(":", 1)

    async def accept(reader, writer):
        say("connected")
        try:
            valkey = await asyncio.open_connection(host, int(port), ssl=towards_valkey)
        except OSError:
            writer.transport.abort()
            return
        await Session(args, (reader, writer), valkey).run()

    server = await asyncio.start_server(accept, "127.0.0.1", int(args.port), ssl=towards_clients)
    say("listens")
    if args.until_input_ends:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    else:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(arguments()))
