"""A shop with a Download button: python3 shop.py. Its parts are explained in docs/embed.md."""
import base64
import hashlib
import hmac
import json
import os
import time
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORTAL = os.environ["DOWNPIPE_PORTAL_URL"].rstrip("/")
KEY = base64.b64decode(os.environ["SHOP_KEY"])  # The key of the app "shop" in the portal's secret
PORT = int(os.environ.get("SHOP_PORT", "8000"))
PERSON = os.environ.get("SHOP_PERSON", "alice@example.com")  # Whom a real shop knows by a session
JANUARY = '{"from":"2026-01-01","to":"2026-02-01"}'

PAGE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Shop</title>
<script type="module" src="{escape(PORTAL)}/embed/v1/downpipe-button.js" crossorigin="anonymous"></script>
<h1>Orders of January</h1>
<p>You are logged in as {escape(PERSON)}.</p>
<downpipe-button portal="{escape(PORTAL)}" export="orders" params="{escape(JANUARY)}" token-url="/downpipe-token">
<a href="{escape(PORTAL)}/exports/orders">Download</a></downpipe-button>
"""
POLICY = f"default-src 'none'; script-src {PORTAL}; connect-src 'self' {PORTAL}; frame-ancestors 'none'"


def token() -> str:
    """Signs a token with which the person may ask for orders, for five minutes."""
    now = int(time.time())
    header = {"alg": "HS256", "kid": os.environ.get("SHOP_KID", "2026-11")}
    claims = {"iss": "shop", "aud": PORTAL, "sub": PERSON, "iat": now, "exp": now + 300, "exports": ["orders"]}
    message = b".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return (message + b"." + base64url(hmac.new(KEY, message, hashlib.sha256).digest())).decode()


def base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        routes = {"/": lambda: ("text/html", PAGE), "/downpipe-token": lambda: ("application/json", json.dumps({"token": token()}))}
        kind, text = routes.get(self.path, lambda: ("text/plain", "There is no such page."))()
        self.send_response(200 if self.path in routes else 404)
        for name, value in [("Content-Type", kind + "; charset=utf-8"), ("Cache-Control", "no-store"), ("Content-Security-Policy", POLICY),
                            ("Cross-Origin-Embedder-Policy", "require-corp")]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    print(f"The shop is at http://localhost:{PORT}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", PORT), Shop).serve_forever()
