"""Requests that nobody means well with: made by rules from a seed, the same each time."""

from __future__ import annotations

import random
from collections.abc import Iterator

NAME = b"guestbook.example"
PATHS = [
    b"/",
    b"*",
    b"/../../../../etc/passwd",
    b"/static/../../src/wsgi.py",
    b"/static/..%2f..%2fsrc/wsgi.py",
    b"/static/%2e%2e/%2e%2e/env",
    b"/static/..%252f..%252fenv",
    b"/static/..\\..\\env",
    b"/static/%c0%ae%c0%ae/env",
    b"/%00",
    b"/page/%00",
    b"/page/99999999999999999999",
    b"/page/-1",
    b"/page/2?x=%0d%0aSet-Cookie:%20evil=1",
    b"/%0d%0aX-Evil:%201",
    b"/\xff\xfe",
    b"/%ff%fe",
    b"//evil.example/%2f..",
    b"http://evil.example/",
    b"http://guestbook.example:99999/",
    b"/" + b"a" * 3000,
    b"/" + b"a" * 7000,
    b"/" + b"a" * 40000,
    b"/?" + b"a=1&" * 1500,
    b"/static/" + b"%2e%2e/" * 200,
    b"/a b",
    b"",
]
METHODS = [b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT", b"get", b"BREW", b"A" * 5000]
METHODS += [b"GE\x00T", b"P\xffST", b"PROPFIND", b""]
VERSIONS = [
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/1.9",
    b"HTTP/2.0",
    b"HTTP/3.0",
    b"HTTP/9.9",
    b"HTTP/",
    b"http/1.1",
    b"ICY",
    b"",
]
HOSTS = [
    NAME,
    NAME + b":443",
    NAME + b":",
    NAME + b":0",
    NAME + b":99999",
    NAME + b".",
    NAME.upper(),
    b"evil.example",
    NAME + b".evil.example",
    NAME + b"@evil.example",
    b"evil.example#" + NAME,
    NAME + b"\r\nX-Evil: 1",
    NAME + b"\r\nHost: evil.example",
    b"../../etc",
    b"[::1",
    b"[::1]:99",
    b"127.0.0.1",
    b"a" * 9000,
    b"\xc3\xbc.example",
    b"a b",
    b"",
]
HEADERS = [
    b"",
    b"X-Long: " + b"a" * 7000,
    b"X-Long: " + b"a" * 30000,
    b"Cookie: session=" + b"." * 4000,
    b"Cookie: session=eyJhIjoxfQ.aaaaaa.bbbbbb",
    b"Cookie: " + b"; ".join(b"c%d=1" % number for number in range(400)),
    b"\r\n".join(b"X-%d: 1" % number for number in range(90)),
    b"\r\n".join(b"X-%d: 1" % number for number in range(300)),
    b"\r\n".join(b"X-%d: 1" % number for number in range(3000)),
    b"X-Folded: a\r\n b",
    b"X-Space : a",
    b" X-Leading: a",
    b"X_Under: a",
    b"X-Null: a\x00b",
    b"X-Control: a\x0bb",
    b"X-Bare: a\rb",
    b"X-Bare: a\nX-Evil: 1",
    b"NoColon",
    b": no name",
    b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: evil.example",
    b"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\nX-Forwarded-Protocol: ssl",
    b"Expect: 100-continue",
    b"Expect: 999-nonsense",
    b"Upgrade: websocket\r\nConnection: Upgrade",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    b"Connection: close, Host, Content-Length, X-Forwarded-For",
    b"Range: bytes=" + b",".join(b"%d-" % number for number in range(500)),
    b"Range: bytes=9-0",
    b"If-Modified-Since: nonsense",
    b"Accept-Encoding: " + b"gzip;q=0.000001, " * 200,
    b"Accept-Language: \xff\xfe",
    b"Authorization: Basic " + b"%" * 2000,
    b"Content-Type: multipart/form-data; boundary=" + b"-" * 3000,
    b"Content-Type: multipart/form-data",
    b"Content-Type: application/json; charset=nonsense",
    b"Proxy: http://evil.example:3128",
    b"Forwarded: for=6.6.6.6;host=evil.example;proto=gopher",
]
# What says how long a body is, with the body. More than one way of reading them is what smuggling lives on.
BODIES = [
    b"\r\n\r\n",
    b"Content-Length: 0\r\n\r\n",
    b"Content-Length: 5\r\n\r\na=b&c",
    b"Content-Length: 500\r\n\r\ntoo little",
    b"Content-Length: 3\r\n\r\ntoo much GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n",
    b"Content-Length: -1\r\n\r\n",
    b"Content-Length: +5\r\n\r\nabcde",
    b"Content-Length: 0x5\r\n\r\nabcde",
    b"Content-Length: 5, 5\r\n\r\nabcde",
    b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    b"Content-Length: 99999999999999999999999\r\n\r\n",
    b"Content-Length: 17000000\r\n\r\nbegin",
    b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\na=b&c\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5;ext=" + b"e" * 5000 + b"\r\na=b&c\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\na\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\na=b&c\n0\n\n",
    b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Trailer: 1\r\nHost: evil\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 40000\r\n\r\n" + b"a=%00&" * 6666 + b"aaaa",
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 70000\r\n\r\n" + b"m" * 70000,
    b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 21\r\n\r\n--x\r\nnonsense\r\n--x--\r\n",
]


def whole(method: bytes, path: bytes, version: bytes, host: bytes, header: bytes, body: bytes) -> bytes:
    """Return a request as it goes over the wire."""
    head = b" ".join(part for part in (method, path, version) if part) + b"\r\nHost: " + host + b"\r\n"
    return head + (header + b"\r\n" if header else b"") + body


def requests(count: int, seed: int = 20) -> Iterator[bytes]:
    """Yield each oddity once, alone in an otherwise good request, and then mixtures, ``count`` in all."""
    good = [[b"GET", b"POST"], [b"/"], [b"HTTP/1.1"], [NAME], [b""], [b"\r\n"]]
    kinds = [METHODS, PATHS, VERSIONS, HOSTS, HEADERS, BODIES]
    made = 0
    for place, kind in enumerate(kinds):
        for odd in kind:
            for method in good[0]:
                parts = [method, *(choice[0] for choice in good[1:])]
                parts[place] = odd
                yield whole(*parts)
                made += 1
    chance = random.Random(seed)
    while made < count:
        parts = [
            chance.choice(kind if chance.random() < 0.4 else usual) for kind, usual in zip(kinds, good, strict=True)
        ]
        request = bytearray(whole(*parts))
        # Now and then a byte is turned into another one.
        for _ in range(chance.choice([0, 0, 0, 1, 3])):
            request[chance.randrange(min(len(request), 300))] = chance.randrange(256)
        yield bytes(request)
        made += 1
