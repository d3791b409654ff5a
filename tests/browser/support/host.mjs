// A site of another origin than the portal's, as strict as a site can be, with a page that has a button.
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');

/** The key of every app in the tests: 32 bytes in base64. */
export const KEY = 'c2hvcC1rZXktb2YtMzItYnl0ZXMtZm9yLXRlc3RzISE=';

/** Signs a token of an app. */
export function sign(claims, kid = 'new') {
  const now = Math.floor(Date.now() / 1000);
  const message = `${base64url({ alg: 'HS256', kid })}.${base64url({ iat: now, exp: now + 300, ...claims })}`;
  return `${message}.${createHmac('sha256', Buffer.from(KEY, 'base64')).update(message).digest('base64url')}`;
}

/** A site. What its page has and its token route answers can be set. */
export class Host {
  /** What the button's attributes are besides `portal` and `token-url`. */
  button = {};
  /** Returns the answer of the token route: a token, or a status. */
  token = () => 404;
  /** How often the token route was asked. */
  asked = 0;
  lang = 'en';

  static async start() {
    const host = new Host();
    host.server = createServer((request, response) => host.#answer(request, response)).listen(0, '127.0.0.1');
    await once(host.server, 'listening');
    host.origin = `http://127.0.0.1:${host.server.address().port}`;
    return host;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  #answer(request, response) {
    const { portal } = this;
    response.setHeader('Cache-Control', 'no-store');
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    response.setHeader('Content-Security-Policy', `default-src 'none'; script-src ${portal}; connect-src 'self' ${portal}; ` +
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'");
    if (request.url === '/token') {
      this.asked += 1;
      const token = this.token(this.asked);
      response.statusCode = typeof token === 'number' ? token : 200;
      response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ token }));
    } else if (request.url === '/') {
      const attributes = Object.entries({ portal, 'token-url': '/token', ...this.button });
      const written = attributes.map(([name, value]) => `${name}="${escaped(value)}"`).join(' ');
      response.setHeader('Content-Type', 'text/html; charset=utf-8').end(`<!doctype html><html lang="${this.lang}"><title>Host</title>
<script type="module" src="${portal}/embed/v1/downpipe-button.js"></script>
<downpipe-button ${written}><a href="/without-script">Get the orders</a></downpipe-button></html>`);
    } else {
      response.statusCode = 404;
      response.end();
    }
  }
}
