"""Signs a token of an app: python3 app_token.py alice@example.com"""
import base64
import hashlib
import hmac
import json
import os
import sys
import time


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(person: str) -> str:
    now = int(time.time())
    header = {"alg": "HS256", "kid": os.environ["APP_KID"]}
    claims = {"iss": os.environ["APP"], "aud": os.environ["PORTAL"], "sub": person, "iat": now, "exp": now + 300}
    message = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    signature = hmac.new(base64.b64decode(os.environ["APP_KEY"]), message.encode(), hashlib.sha256).digest()
    return f"{message}.{base64url(signature)}"


if __name__ == "__main__":
    print(token(sys.argv[1]))
